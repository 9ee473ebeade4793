#include <starling/kernels/complex_scan_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const ComplexScanForward<float>&, const Queue&);
template void enqueue(const ComplexScanForward<double>&, const Queue&);
template void enqueue(const ComplexScanForward<bfloat16>&, const Queue&);
template void enqueue(const ComplexScanBackward<float>&, const Queue&);
template void enqueue(const ComplexScanBackward<double>&, const Queue&);
template void enqueue(const ComplexScanBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
