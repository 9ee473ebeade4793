#include <starling/kernels/launch.cuh>
#include <starling/kernels/matrix_recurrence_device.hpp>

namespace starling::kernels {

template void enqueue(const MatrixRecurrenceForward<float>&, const Queue&);
template void enqueue(const MatrixRecurrenceForward<double>&, const Queue&);
template void enqueue(const MatrixRecurrenceForward<bfloat16>&, const Queue&);
template void enqueue(const MatrixRecurrenceBackward<float>&, const Queue&);
template void enqueue(const MatrixRecurrenceBackward<double>&, const Queue&);
template void enqueue(const MatrixRecurrenceBackward<bfloat16>&, const Queue&);

}  // namespace starling::kernels
