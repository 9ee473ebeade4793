// Diagonal complex state space with real input and output, per channel and pair n of conjugate states:
//   a_t = decay + leak tanh(u_t)        (leak only where the decays depend on the input: liquid S4; Hasani et al. 2022,
//                                        arXiv 2209.12951, causal here)
//   s_t = a_t s_{t−1} + u_t,            y_t = Re Σ_n weight_n s_{t,n} + skip u_t
// The same loop trains and generates: six multiply-adds per pair and token, as many as a chunked convolution with state
// passing needs at chunks of 64 and pairs of 32, and no table. Decays are never divided by nor taken to logarithms. Backward,
// with g_t the whole gradient of s_t (gradient of a complex number: that of its real part + i that of its imaginary part):
//   g_t = conj(weight) dy_t + conj(a_{t+1}) g_{t+1},  dweight = Σ conj(s_t) dy_t,  da_t = conj(s_{t−1}) g_t,  ddecay = Σ da_t,
//   dleak = Σ tanh(u_t) da_t,  du_t = Re Σ_n g_t + skip dy_t + (1 − tanh²(u_t)) Re Σ_n conj(leak) da_t.
// States are recomputed from one checkpoint per complex_scan_chunk tokens. Scratch O(pairs · vector width). One thread per
// call. float, double and bfloat16 (u, y and their gradients; all else in float).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

inline constexpr std::int64_t complex_scan_chunk = 64;

/// u, y: (batch, length, width), channels contiguous, tokens `*_stride` elements apart, sequences length · stride apart; y
/// must not be u. decay, weight, leak: (2, pairs, width), all real parts before all imaginary ones; leak null for none. skip:
/// (width). initial, final: (batch, 2, pairs, width) or null; final may be initial. checkpoints: (batch, ceil(length /
/// complex_scan_chunk), 2, pairs, width), the state before each chunk for the backward pass, or null.
template <class T>
struct ComplexScanForward {
  const T* u = nullptr;
  const Compute<T>* decay = nullptr;
  const Compute<T>* weight = nullptr;
  const Compute<T>* leak = nullptr;
  const Compute<T>* skip = nullptr;
  const Compute<T>* initial = nullptr;
  T* y = nullptr;
  Compute<T>* final = nullptr;
  Compute<T>* checkpoints = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t width = 0;
  std::int64_t pairs = 0;
  std::int64_t u_stride = 0;
  std::int64_t y_stride = 0;
};

/// All gradients are written; du must not overlap u or dy. dleak null where leak is. checkpoints: from the forward pass, whose
/// initial state is a constant: no gradient flows into it.
template <class T>
struct ComplexScanBackward {
  const T* u = nullptr;
  const Compute<T>* decay = nullptr;
  const Compute<T>* weight = nullptr;
  const Compute<T>* leak = nullptr;
  const Compute<T>* skip = nullptr;
  const Compute<T>* checkpoints = nullptr;
  const T* dy = nullptr;
  T* du = nullptr;
  Compute<T>* ddecay = nullptr;
  Compute<T>* dweight = nullptr;
  Compute<T>* dleak = nullptr;
  Compute<T>* dskip = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t width = 0;
  std::int64_t pairs = 0;
  std::int64_t u_stride = 0;
  std::int64_t dy_stride = 0;
  std::int64_t du_stride = 0;
};

/// Elements of `checkpoints`.
constexpr std::int64_t complex_scan_checkpoint_elements(std::int64_t batch, std::int64_t length, std::int64_t width, std::int64_t pairs) {
  return batch * ((length + complex_scan_chunk - 1) / complex_scan_chunk) * 2 * pairs * width;
}

template <Level level, class T>
void execute(const ComplexScanForward<T>& arguments);
template <Level level, class T>
void execute(const ComplexScanBackward<T>& arguments);

template <class T>
void complex_scan_forward(const ComplexScanForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void complex_scan_backward(const ComplexScanBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
