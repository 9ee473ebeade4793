#include <starling/kernels/scratch.hpp>

#include <cstdlib>
#include <memory>
#include <new>

namespace starling::kernels {
namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

struct Scratch {
  std::unique_ptr<void, Free> memory;
  std::size_t bytes = 0;
};

}  // namespace

void* scratch_bytes(std::size_t bytes) {
  thread_local Scratch scratch;
  if (bytes > scratch.bytes) {
    constexpr std::size_t granule = 4096;
    const std::size_t rounded = (bytes + granule - 1) / granule * granule;
    scratch.memory.reset();
    scratch.bytes = 0;
    scratch.memory.reset(std::aligned_alloc(64, rounded));
    if (!scratch.memory) throw std::bad_alloc();
    scratch.bytes = rounded;
  }
  return scratch.memory.get();
}

}  // namespace starling::kernels
