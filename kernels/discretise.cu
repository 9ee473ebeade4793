#include <starling/kernels/discretise_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const Discretise<float>&, const Queue&);
template void enqueue(const Discretise<double>&, const Queue&);
template void enqueue(const DiscretiseBackward<float>&, const Queue&);
template void enqueue(const DiscretiseBackward<double>&, const Queue&);

}  // namespace starling::kernels
