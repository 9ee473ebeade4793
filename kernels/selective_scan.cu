#include <starling/kernels/launch.cuh>
#include <starling/kernels/selective_scan_device.hpp>

namespace starling::kernels {

template void enqueue(const SelectiveScanForward<float>&, const Queue&);
template void enqueue(const SelectiveScanForward<double>&, const Queue&);
template void enqueue(const SelectiveScanForward<bfloat16>&, const Queue&);
template void enqueue(const SelectiveScanBackward<float>&, const Queue&);
template void enqueue(const SelectiveScanBackward<double>&, const Queue&);
template void enqueue(const SelectiveScanBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
