#include <starling/kernels/convert_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const Convert<float, bfloat16>&, const Queue&);
template void enqueue(const Convert<bfloat16, float>&, const Queue&);
template void enqueue(const AddTo&, const Queue&);

}  // namespace starling::kernels
