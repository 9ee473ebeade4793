#include <starling/kernels/launch.cuh>
#include <starling/kernels/short_conv_device.hpp>

namespace starling::kernels {

template void enqueue(const ShortConvForward<float>&, const Queue&);
template void enqueue(const ShortConvForward<double>&, const Queue&);
template void enqueue(const ShortConvForward<bfloat16>&, const Queue&);
template void enqueue(const ShortConvBackward<float>&, const Queue&);
template void enqueue(const ShortConvBackward<double>&, const Queue&);
template void enqueue(const ShortConvBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
