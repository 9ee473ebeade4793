// From kernels (device.hpp) to launches in a stream. Only for x.cu.
#pragma once

#include <starling/kernels/cuda.hpp>
#include <starling/kernels/device.hpp>

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace starling::kernels {
namespace {

/// Blocks that a kernel asks to have on a multiprocessor at once; 0: as many as its registers allow.
template <class Kernel>
constexpr int blocks_at_once() {
  if constexpr (requires { Kernel::blocks_at_once; }) return Kernel::blocks_at_once;
  return 0;
}

template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads, blocks_at_once<Kernel>()) launched(const __grid_constant__ Kernel kernel) {
  extern __shared__ __align__(16) unsigned char shared[];
  device::Block block{blockIdx.x, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x), shared, nullptr};
  kernel(block);
}

class StreamLauncher {
 public:
  explicit StreamLauncher(const Queue& queue) : queue_(queue) {}

  template <class Kernel>
  void launch(const Kernel& kernel) {
    const auto blocks = kernel.blocks();
    if (blocks == 0) return;
    if (blocks > 0x7fffffff)
      throw std::runtime_error("a kernel needs more blocks than a device launches at once: " + std::to_string(blocks));
    const std::size_t shared = kernel.shared_bytes();
    if (shared > 48 * 1024)
      check(cudaFuncSetAttribute(launched<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
    launched<<<static_cast<unsigned>(blocks), Kernel::threads, shared, static_cast<cudaStream_t>(queue_.stream)>>>(kernel);
    check(cudaGetLastError());
  }

  template <class T>
  T* scratch(std::int64_t count) {
    return static_cast<T*>(queue_.scratch(static_cast<std::size_t>(count) * sizeof(T)));
  }

 private:
  static void check(cudaError_t error) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // else this thread's next launch is taken for the one that failed
    throw std::runtime_error(std::string("CUDA refuses a kernel: ") + cudaGetErrorString(error));
  }

  const Queue& queue_;
};

}  // namespace

template <class Arguments>
void enqueue(const Arguments& arguments, const Queue& queue) {
  StreamLauncher launcher(queue);
  launch_all(arguments, launcher);
}

}  // namespace starling::kernels
