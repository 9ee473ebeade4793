// One step of AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101) over a flat array, in one pass:
//   g = gradient_scale · gradient,  m = β1 m + (1 − β1) g,  v = β2 v + (1 − β2) g²,
//   p = p (1 − learning_rate · weight_decay) − learning_rate · (m / (1 − β1^step)) / (sqrt(v / (1 − β2^step)) +
//   epsilon)
// gradient_scale carries the clip factor and the mean over micro-batches, gradient_factor one that only the memory of the arrays
// has: on a device a norm that nobody has waited for. One thread per call. float and double.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// parameter, gradient, first, second: (count), contiguous, not overlapping; gradient is left as it is. rounded: (count), written:
/// the new parameter in bfloat16, or null; float only. gradient_factor: one number where the arrays are, or null. step counts from 1.
template <class T>
struct AdamW {
  T* parameter = nullptr;
  bfloat16* rounded = nullptr;
  const T* gradient = nullptr;
  T* first = nullptr;
  T* second = nullptr;
  std::int64_t count = 0;
  std::int64_t step = 1;
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double gradient_scale = 1;
  const double* gradient_factor = nullptr;
};

/// The steps of several tensors, as one call of each gives them; on a device few launches do them all.
template <class T>
struct AdamWList {
  const AdamW<T>* tensors = nullptr;
  std::int64_t count = 0;
};

/// *sum = Σ x², squared and summed in double.
template <class T>
struct SumOfSquares {
  const T* x = nullptr;
  std::int64_t count = 0;
  double* sum = nullptr;
};

template <Level level, class T>
void execute(const AdamW<T>& arguments);
template <Level level, class T>
void execute(const AdamWList<T>& arguments);
template <Level level, class T>
void execute(const SumOfSquares<T>& arguments);

template <class T>
void adamw(const AdamW<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void adamw(const AdamWList<T>& arguments) {
  dispatch(arguments);
}

/// Σ x², squared and summed in double: the gradient norm is the root of the sum over all tensors.
template <class T>
double sum_of_squares(const T* x, std::int64_t count) {
  double sum = 0;
  dispatch(SumOfSquares<T>{x, count, &sum});
  return sum;
}

}  // namespace starling::kernels
