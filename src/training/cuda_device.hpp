// CUDA behind device.hpp: cuda_device.cpp, or without STARLING_CUDA no_cuda_device.cpp, where there are no devices and nothing else is called.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace starling::training::cuda {

/// A point in the work of a device.
using Event = std::shared_ptr<void>;

int count();
/// Products in bfloat16 whose terms are divided among blocks are put together in float, which is not LibTorch's default.
void sum_in_float();
/// Name and bytes of memory.
std::pair<std::string, std::int64_t> description(int device);
std::int64_t free_bytes(int device);
std::uint64_t peak_bytes(int device);
void release_memory(int device);
void reset_peak(int device);
void finish(int device);
bool still_works(int device);

/// Behind all that this thread has given the device to do.
Event event(int device);
void wait(const Event& event);
/// Copies by way of pinned memory in a stream of the calling thread's own.
Event send(const std::vector<at::Tensor>& tensors, int device, std::vector<at::Tensor>& there);
/// What the calling thread gives the device to do from here on comes behind the event and may use the tensors.
void take(const Event& event, const std::vector<at::Tensor>& there);

}  // namespace starling::training::cuda
