#include <starling/kernels/launch.cuh>
#include <starling/kernels/linear_attention_device.hpp>

namespace starling::kernels {

template void enqueue(const LinearAttentionForward<float>&, const Queue&);
template void enqueue(const LinearAttentionForward<double>&, const Queue&);
template void enqueue(const LinearAttentionForward<bfloat16>&, const Queue&);
template void enqueue(const LinearAttentionBackward<float>&, const Queue&);
template void enqueue(const LinearAttentionBackward<double>&, const Queue&);
template void enqueue(const LinearAttentionBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
