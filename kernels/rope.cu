#include <starling/kernels/launch.cuh>
#include <starling/kernels/rope_device.hpp>

namespace starling::kernels {

template void enqueue(const Rope<float>&, const Queue&);
template void enqueue(const Rope<double>&, const Queue&);
template void enqueue(const Rope<bfloat16>&, const Queue&);

}  // namespace starling::kernels
