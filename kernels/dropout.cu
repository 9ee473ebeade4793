#include <starling/kernels/dropout_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const Dropout<float>&, const Queue&);
template void enqueue(const Dropout<double>&, const Queue&);

}  // namespace starling::kernels
