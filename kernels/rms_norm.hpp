// Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467) over rows:
//   r = 1 / sqrt(mean(x²) + epsilon),  y = x · r · weight
//   dx = r · (weight ⊙ dy − x · r² · mean(weight ⊙ dy ⊙ x)),  dweight += Σ_rows dy ⊙ x · r
// Sums run in T. One thread per call. float and double.
#pragma once

#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// x, y: (rows, width), contiguous; y may be x. weight: (width). inverse_rms: (rows), what the backward pass needs, or
/// null.
template <class T>
struct RmsNormForward {
  const T* x = nullptr;
  const T* weight = nullptr;
  T* y = nullptr;
  T* inverse_rms = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  T epsilon = T(1e-5);
};

/// dx is written and may be dy; dweight is added to, or null. inverse_rms is what the forward pass gave.
template <class T>
struct RmsNormBackward {
  const T* x = nullptr;
  const T* weight = nullptr;
  const T* inverse_rms = nullptr;
  const T* dy = nullptr;
  T* dx = nullptr;
  T* dweight = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
};

template <Level level, class T>
void execute(const RmsNormForward<T>& arguments);
template <Level level, class T>
void execute(const RmsNormBackward<T>& arguments);

template <class T>
void rms_norm_forward(const RmsNormForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void rms_norm_backward(const RmsNormBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
