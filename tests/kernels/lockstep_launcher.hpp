// Runs device kernels on the CPU: blocks one after the other, the threads of a block in turns from barrier to barrier. Barriers that
// not every thread reaches fail the test, and so do results that depend on the turn (run a case in both orders).
#pragma once

#include <starling/kernels/device.hpp>

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

namespace starling::kernels {

enum class Turns { ascending, descending };

/// body(block) once for each of `threads` threads of one block. `shared` holds NaN at first, as memory of a device may.
void run_block(device::Index index, int threads, std::size_t shared_bytes, Turns turns, const std::function<void(device::Block&)>& body);

class LockstepLauncher {
 public:
  explicit LockstepLauncher(Turns turns) : turns_(turns) {}

  template <class Kernel>
  void launch(const Kernel& kernel) {
    const device::Index blocks = kernel.blocks();
    for (device::Index i = 0; i < blocks; ++i) {
      const device::Index index = turns_ == Turns::ascending ? i : blocks - 1 - i;
      run_block(index, Kernel::threads, kernel.shared_bytes(), turns_, [&](device::Block& block) { kernel(block); });
    }
  }

  template <class T>
  T* scratch(std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    memory_.push_back(std::make_unique<std::byte[]>(bytes));
    std::memset(memory_.back().get(), 0xff, bytes);
    return reinterpret_cast<T*>(memory_.back().get());
  }

 private:
  Turns turns_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
};

}  // namespace starling::kernels
