#include <starling/kernels/gated_unit_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const GatedUnitForward<float>&, const Queue&);
template void enqueue(const GatedUnitForward<double>&, const Queue&);
template void enqueue(const GatedUnitForward<bfloat16>&, const Queue&);
template void enqueue(const GatedUnitBackward<float>&, const Queue&);
template void enqueue(const GatedUnitBackward<double>&, const Queue&);
template void enqueue(const GatedUnitBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
