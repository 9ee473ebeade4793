// The program of tests on a device: what the tests of kernels allocate is memory of the CPU that the device reads and writes in place.
#include "support.hpp"

#include <cuda_runtime_api.h>

#include <bit>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>

namespace {

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

/// One that the kernels are compiled for; tests in double need more memory of a block than small cards have.
bool has_device() {
  int count = 0, major = 0, shared = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0 &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess && major >= 8 &&
         cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess && shared >= 160 * 1024;
}

/// Pieces of powers of two, each behind its exponent, that are used again. Memory that moves between the two sides would do so at every
/// turn, and giving it back would wait for the device.
class Arena {
 public:
  void begin() {
    check(cudaHostAlloc(reinterpret_cast<void**>(&first_), bytes, cudaHostAllocDefault));
    next_ = first_;
  }
  /// From begin() on; what was allocated before is not given to kernels.
  bool begun() const { return first_ != nullptr; }
  bool holds(const void* memory) const { return begun() && memory >= first_ && memory < first_ + bytes; }

  void* take(std::size_t wanted) {
    const auto exponent = static_cast<std::size_t>(std::bit_width((wanted > header ? wanted : header) - 1));
    if (void* const again = free_[exponent]) {
      free_[exponent] = *static_cast<void**>(again);
      return again;
    }
    const std::size_t size = header + (std::size_t{1} << exponent);
    if (size > static_cast<std::size_t>(first_ + bytes - next_)) throw std::bad_alloc();
    *reinterpret_cast<std::size_t*>(next_) = exponent;
    void* const piece = next_ + header;
    next_ += size;
    return piece;
  }
  void give(void* piece) {
    const auto exponent = *reinterpret_cast<std::size_t*>(static_cast<char*>(piece) - header);
    *static_cast<void**>(piece) = free_[exponent];
    free_[exponent] = piece;
  }

 private:
  static constexpr std::size_t bytes = std::size_t{2} << 30;
  static constexpr std::size_t header = 16;
  char* first_ = nullptr;
  char* next_ = nullptr;
  void* free_[64] = {};
};
constinit Arena arena;

}  // namespace

void* operator new(std::size_t bytes) {
  if (arena.begun()) return arena.take(bytes);
  void* const memory = std::malloc(bytes > 0 ? bytes : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept {
  if (arena.holds(memory))
    arena.give(memory);
  else
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace starling::kernels {

void on_device_at_hand(const std::function<void(const Queue&)>& work) {
  std::vector<void*> memory;
  work({.stream = nullptr, .scratch = [&](std::size_t bytes) {
          void* piece = nullptr;
          check(cudaMalloc(&piece, bytes));
          check(cudaMemset(piece, 0xff, bytes));
          memory.push_back(piece);
          return piece;
        }});
  check(cudaDeviceSynchronize());
  for (void* const piece : memory) check(cudaFree(piece));
}

}  // namespace starling::kernels

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!has_device()) {
    std::puts("no GPU with 160 KiB of shared memory in a block: skipped");
    return 77;
  }
  arena.begin();
  const int result = RUN_ALL_TESTS();
  // Destructors of static objects would come after the end of CUDA, which has their memory.
  std::fflush(nullptr);
  std::_Exit(result);
}
