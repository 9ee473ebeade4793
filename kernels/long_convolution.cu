#include <starling/kernels/launch.cuh>
#include <starling/kernels/long_convolution_device.hpp>

namespace starling::kernels {

template void enqueue(const LongConvolutionForward<float>&, const Queue&);
template void enqueue(const LongConvolutionForward<double>&, const Queue&);
template void enqueue(const LongConvolutionForward<bfloat16>&, const Queue&);
template void enqueue(const LongConvolutionBackward<float>&, const Queue&);
template void enqueue(const LongConvolutionBackward<double>&, const Queue&);
template void enqueue(const LongConvolutionBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
