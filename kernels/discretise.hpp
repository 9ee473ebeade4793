// Zero-order hold of a diagonal complex state space (S4D; Gu et al. 2022, arXiv 2206.11893), per channel and pair of conjugate
// states:
//   A = −exp(a_log) + i a_imaginary,  Δ = exp(log_step),  decay Ā = exp(Δ A),  weight = 2 C B̄ with B̄ = B (Ā − 1) / A,
// so that x_t = Ā x_{t−1} + B̄ u_t, y_t = 2 Re Σ C x_t is s_t = Ā s_{t−1} + u_t, y_t = Re Σ weight s_t. Where the decays also
// depend on the input (complex_scan.hpp), how far: leak = (1 − |Ā|) b, b = liquid / √(1 + |liquid|²), so |Ā| + |leak| < 1.
// Computed in double whatever T is: (Ā − 1) / A loses what a float has where |Δ A| is small. One thread per call.
#pragma once

#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// a_log, a_imaginary: (pairs, width); log_step: (width); complex arrays: (2, pairs, width), all real parts before all
/// imaginary ones. liquid and leak: both or neither null.
template <class T>
struct Discretise {
  const T* a_log = nullptr;
  const T* a_imaginary = nullptr;
  const T* log_step = nullptr;
  const T* b = nullptr;
  const T* c = nullptr;
  const T* liquid = nullptr;
  T* decay = nullptr;
  T* weight = nullptr;
  T* leak = nullptr;
  std::int64_t pairs = 0;
  std::int64_t width = 0;
};

/// The gradient of a complex number stands like the number: that of its real part, that of its imaginary part. Results are
/// written; dliquid and dleak null where liquid is.
template <class T>
struct DiscretiseBackward {
  const T* a_log = nullptr;
  const T* a_imaginary = nullptr;
  const T* log_step = nullptr;
  const T* b = nullptr;
  const T* c = nullptr;
  const T* liquid = nullptr;
  const T* ddecay = nullptr;
  const T* dweight = nullptr;
  const T* dleak = nullptr;
  T* da_log = nullptr;
  T* da_imaginary = nullptr;
  T* dlog_step = nullptr;
  T* db = nullptr;
  T* dc = nullptr;
  T* dliquid = nullptr;
  std::int64_t pairs = 0;
  std::int64_t width = 0;
};

template <Level level, class T>
void execute(const Discretise<T>& arguments);
template <Level level, class T>
void execute(const DiscretiseBackward<T>& arguments);

template <class T>
void discretise(const Discretise<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void discretise_backward(const DiscretiseBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
