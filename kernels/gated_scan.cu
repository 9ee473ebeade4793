#include <starling/kernels/gated_scan_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const GatedScanForward<float>&, const Queue&);
template void enqueue(const GatedScanForward<double>&, const Queue&);
template void enqueue(const GatedScanForward<bfloat16>&, const Queue&);
template void enqueue(const GatedScanBackward<float>&, const Queue&);
template void enqueue(const GatedScanBackward<double>&, const Queue&);
template void enqueue(const GatedScanBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
