// The program of tests on a device: what the tests of kernels allocate is memory that both sides see.
#include "support.hpp"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>

namespace {

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

bool has_device() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

/// From here on; what was allocated before is not given to kernels.
bool managed = false;

}  // namespace

void* operator new(std::size_t bytes) {
  void* memory = nullptr;
  if (managed) {
    if (cudaMallocManaged(&memory, bytes > 0 ? bytes : 1, cudaMemAttachGlobal) != cudaSuccess) throw std::bad_alloc();
    return memory;
  }
  memory = std::malloc(bytes > 0 ? bytes : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept {
  cudaPointerAttributes of{};
  if (managed && memory && cudaPointerGetAttributes(&of, memory) == cudaSuccess && of.type == cudaMemoryTypeManaged)
    cudaFree(memory);
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
    std::puts("no GPU: skipped");
    return 77;
  }
  managed = true;
  const int result = RUN_ALL_TESTS();
  // Destructors of static objects would come after the end of CUDA, which has their memory.
  std::fflush(nullptr);
  std::_Exit(result);
}
