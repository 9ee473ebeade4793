#include <starling/kernels/launch.cuh>
#include <starling/kernels/rms_norm_device.hpp>

namespace starling::kernels {

template void enqueue(const RmsNormForward<float>&, const Queue&);
template void enqueue(const RmsNormForward<double>&, const Queue&);
template void enqueue(const RmsNormForward<bfloat16>&, const Queue&);
template void enqueue(const RmsNormForward<bfloat16, float>&, const Queue&);
template void enqueue(const RmsNormBackward<float>&, const Queue&);
template void enqueue(const RmsNormBackward<double>&, const Queue&);
template void enqueue(const RmsNormBackward<bfloat16>&, const Queue&);
template void enqueue(const RmsNormBackward<bfloat16, float>&, const Queue&);

}  // namespace starling::kernels
