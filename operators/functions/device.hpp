// Kernels where their tensors are: on the CPU at once, on a CUDA device in its current stream.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include <starling/kernels/cuda.hpp>
#include <starling/kernels/dispatch.hpp>

namespace starling::operators {

/// Calls `enqueue` with the current stream of the tensor's device, made the current device meanwhile.
void on_stream(const at::Tensor& where, const std::function<void(const kernels::Queue&)>& enqueue);

/// Throws std::invalid_argument: nothing of this build runs this kernel on the tensor's device.
[[noreturn]] void refuse_device(const at::Tensor& where);

/// `where`: any of the tensors that the arguments point into.
template <class Arguments>
void run_kernel(const at::Tensor& where, const Arguments& arguments) {
  if (where.is_cpu()) return kernels::dispatch(arguments);
  if constexpr (kernels::built_for_cuda && kernels::on_device<Arguments>)
    on_stream(where, [&](const kernels::Queue& queue) { kernels::enqueue(arguments, queue); });
  else
    refuse_device(where);
}

}  // namespace starling::operators
