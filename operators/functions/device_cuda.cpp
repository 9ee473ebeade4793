#include <starling/operators/functions/device.hpp>

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdint>
#include <vector>

namespace starling::operators {

void on_stream(const at::Tensor& where, const std::function<void(const kernels::Queue&)>& enqueue) {
  const c10::cuda::CUDAGuard guard(where.device());
  // Given back when this returns: LibTorch hands such memory to later work of the same stream alone.
  std::vector<at::Tensor> memory;
  const kernels::Queue queue{.stream = c10::cuda::getCurrentCUDAStream().stream(), .scratch = [&](std::size_t bytes) {
                               memory.push_back(at::empty({static_cast<std::int64_t>(bytes)}, where.options().dtype(at::kByte)));
                               return memory.back().data_ptr();
                             }};
  enqueue(queue);
}

}  // namespace starling::operators
