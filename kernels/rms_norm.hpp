// Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467) over rows:
//   r = 1 / sqrt(mean(x²) + epsilon),  y = x · r · weight
//   dx = r · (weight ⊙ dy − x · r² · mean(weight ⊙ dy ⊙ x)),  dweight += Σ_rows dy ⊙ x · r
// Sums run in the compute type of T. One thread per call. float, double, bfloat16, and rows of float (a residual stream) with y
// and dy in bfloat16.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// x, y: (rows, width), contiguous; y may be x (of one type). weight: (width). inverse_rms: (rows), what the backward pass needs, or
/// null.
template <class T, class X = T>
struct RmsNormForward {
  const X* x = nullptr;
  const Compute<T>* weight = nullptr;
  T* y = nullptr;
  Compute<T>* inverse_rms = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  Compute<T> epsilon = Compute<T>(1e-5);
};

/// dx is written and may be dy (of one type); dweight is added to, or null. inverse_rms is what the forward pass gave.
template <class T, class X = T>
struct RmsNormBackward {
  const X* x = nullptr;
  const Compute<T>* weight = nullptr;
  const Compute<T>* inverse_rms = nullptr;
  const T* dy = nullptr;
  X* dx = nullptr;
  Compute<T>* dweight = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
};

template <Level level, class T, class X>
void execute(const RmsNormForward<T, X>& arguments);
template <Level level, class T, class X>
void execute(const RmsNormBackward<T, X>& arguments);

template <class T, class X>
void rms_norm_forward(const RmsNormForward<T, X>& arguments) {
  dispatch(arguments);
}
template <class T, class X>
void rms_norm_backward(const RmsNormBackward<T, X>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
