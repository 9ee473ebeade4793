#include <starling/training/cuda_device.hpp>

#include <ATen/Context.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <starling/base/error.hpp>

namespace starling::training::cuda {
namespace {

using at::cuda::CUDAEvent;
namespace allocator = c10::cuda::CUDACachingAllocator;

c10::DeviceIndex index(int device) { return static_cast<c10::DeviceIndex>(device); }

void check(cudaError_t error) {
  if (error != cudaSuccess) throw Failure(std::string("CUDA: ") + cudaGetErrorString(error));
}

/// LibTorch's allocator knows no device where no tensor was.
void introduce(int device) { at::empty({1}, at::Device(at::kCUDA, index(device))); }

CUDAEvent& of(const Event& event) { return *static_cast<CUDAEvent*>(event.get()); }

}  // namespace

int count() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess) return devices;
  cudaGetLastError();  // no driver is no error here
  return 0;
}

void sum_in_float() { at::globalContext().setAllowBF16ReductionCuBLAS(false); }

std::pair<std::string, std::int64_t> description(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device));
  return {properties.name, static_cast<std::int64_t>(properties.totalGlobalMem)};
}

std::int64_t free_bytes(int device) {
  const c10::cuda::CUDAGuard guard(index(device));
  introduce(device);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  const auto statistics = allocator::getDeviceStats(index(device));
  // Element 0 counts all kinds of memory.
  return static_cast<std::int64_t>(free) + statistics.reserved_bytes[0].current - statistics.allocated_bytes[0].current;
}

std::uint64_t peak_bytes(int device) {
  introduce(device);
  return static_cast<std::uint64_t>(allocator::getDeviceStats(index(device)).allocated_bytes[0].peak);
}

void release_memory(int device) {
  const c10::cuda::CUDAGuard guard(index(device));
  allocator::emptyCache();
}

void reset_peak(int device) {
  introduce(device);
  allocator::resetPeakStats(index(device));
}

void finish(int device) {
  const c10::cuda::CUDAGuard guard(index(device));
  check(cudaDeviceSynchronize());
}

bool still_works(int device) {
  cudaGetLastError();
  return cudaSetDevice(device) == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess;
}

Event event(int device) {
  const auto made = std::make_shared<CUDAEvent>();
  made->record(c10::cuda::getCurrentCUDAStream(index(device)));
  return made;
}

void wait(const Event& event) { of(event).synchronize(); }

Event send(const std::vector<at::Tensor>& tensors, int device, std::vector<at::Tensor>& there) {
  const thread_local auto stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index(device));
  const c10::cuda::CUDAStreamGuard guard(stream);
  for (const auto& tensor : tensors) {
    there.push_back(tensor.pin_memory().to(at::Device(at::kCUDA, index(device)), tensor.scalar_type(), /*non_blocking=*/true));
  }
  return event(device);
}

void take(const Event& event, const std::vector<at::Tensor>& there) {
  for (const auto& tensor : there) {
    const auto stream = c10::cuda::getCurrentCUDAStream(tensor.device().index());
    of(event).block(stream);
    tensor.record_stream(stream);
  }
}

}  // namespace starling::training::cuda
