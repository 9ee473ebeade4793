// Depthwise causal convolution with a kernel as long as the sequence, per channel:
//   y_t = Σ_{s ≤ t} kernel_{t−s} x_s;   dx_s = Σ_{t ≥ s} kernel_{t−s} dy_t,  dkernel_j = Σ_batch Σ_{t ≥ j} dy_t x_{t−j}.
// All three are the same product with a lower triangular Toeplitz matrix, one of its operands or its result backwards in
// time. Blocks below the diagonal are halved into three products instead of four where they are large (Toeplitz matrix-vector
// products; Fan and Hasan 2007), so that the cost grows as length^1.58. No token moves an output before it, NaN included.
// Scratch O(length · vector width). One thread per call. float, double and bfloat16 (with the
// kernel and its gradient in float).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// x: (batch, length, channels); y: (batch, outputs, channels), the outputs of the last tokens (outputs = length for all of
/// them, 1 for a step of generation); channels contiguous, tokens `*_stride` and sequences `*_batch` elements apart. kernel:
/// (length, channels), rows `kernel_stride` apart, lag 0 first. y must not overlap the inputs.
template <class T>
struct LongConvolutionForward {
  const T* x = nullptr;
  const Compute<T>* kernel = nullptr;
  T* y = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t outputs = 0;
  std::int64_t channels = 0;
  std::int64_t x_stride = 0;
  std::int64_t x_batch = 0;
  std::int64_t y_stride = 0;
  std::int64_t y_batch = 0;
  std::int64_t kernel_stride = 0;
};

/// dx and dkernel are written; no two arrays may overlap.
template <class T>
struct LongConvolutionBackward {
  const T* x = nullptr;
  const Compute<T>* kernel = nullptr;
  const T* dy = nullptr;
  T* dx = nullptr;
  Compute<T>* dkernel = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t channels = 0;
  std::int64_t x_stride = 0;
  std::int64_t x_batch = 0;
  std::int64_t dy_stride = 0;
  std::int64_t dy_batch = 0;
  std::int64_t dx_stride = 0;
  std::int64_t dx_batch = 0;
  std::int64_t kernel_stride = 0;
  std::int64_t dkernel_stride = 0;
};

template <Level level, class T>
void execute(const LongConvolutionForward<T>& arguments);
template <Level level, class T>
void execute(const LongConvolutionBackward<T>& arguments);

template <class T>
void long_convolution_forward(const LongConvolutionForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void long_convolution_backward(const LongConvolutionBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
