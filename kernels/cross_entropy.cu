#include <starling/kernels/cross_entropy_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const CrossEntropy<float>&, const Queue&);
template void enqueue(const CrossEntropy<double>&, const Queue&);
template void enqueue(const CrossEntropy<bfloat16>&, const Queue&);

}  // namespace starling::kernels
