#include <starling/kernels/diagonal_scan_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const DiagonalScanForward<float>&, const Queue&);
template void enqueue(const DiagonalScanForward<double>&, const Queue&);
template void enqueue(const DiagonalScanForward<bfloat16>&, const Queue&);
template void enqueue(const DiagonalScanBackward<float>&, const Queue&);
template void enqueue(const DiagonalScanBackward<double>&, const Queue&);
template void enqueue(const DiagonalScanBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
