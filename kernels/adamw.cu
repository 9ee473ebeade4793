#include <starling/kernels/adamw_device.hpp>
#include <starling/kernels/launch.cuh>

namespace starling::kernels {

template void enqueue(const AdamW<float>&, const Queue&);
template void enqueue(const AdamW<double>&, const Queue&);
template void enqueue(const AdamWList<float>&, const Queue&);
template void enqueue(const AdamWList<double>&, const Queue&);
template void enqueue(const SumOfSquares<float>&, const Queue&);
template void enqueue(const SumOfSquares<double>&, const Queue&);

}  // namespace starling::kernels
