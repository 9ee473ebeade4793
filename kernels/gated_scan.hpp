// Diagonal gated recurrence with the products around it in one pass, per channel c and state n:
//   a_t[n, c] = σ(gate_t[n, c] + bias[n, c]),  h_t[n, c] = a_t[n, c] h_{t−1}[n, c] + (1 − a_t[n, c]) B_t[n] v_t[c],
//   y_t[c] = Σ_n C_t[n] h_t[n, c].
// The backward pass recomputes the states from one checkpoint per chunk of gated_scan_chunk tokens. With g_t the whole gradient
// of h_t:
//   g_t = C_t dy_t + a_{t+1} g_{t+1},  dgate_t = a_t (1 − a_t) g_t (h_{t−1} − B_t v_t),  dbias = Σ_t dgate_t,
//   dv_t = Σ_n (1 − a_t) g_t B_t,  dB_t = Σ_c (1 − a_t) g_t v_t,  dC_t = Σ_c dy_t h_t.
// Beside its arrays the forward pass touches nothing: what a diagonal scan with tensor operations around it writes and reads again
// (decays, products, states) stays in registers. Scratch O(states · (width + gated_scan_chunk · vector width)). One thread per
// call. float, double and bfloat16 (with bias, its gradient, states and checkpoints in float); fastest at states = 2.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

inline constexpr std::int64_t gated_scan_chunk = 64;

/// v, y: (batch, length, width); gate: (batch, length, states · width), the channels of state 0 first; b, c: (batch, length, states);
/// inner dimension contiguous, tokens `*_stride` elements apart, sequences length · stride apart. bias: (states · width). initial,
/// final: (batch, states, width) or null; final may be initial. y must not overlap the inputs. checkpoints: (batch, ceil(length /
/// gated_scan_chunk), states, width), the state before each chunk for the backward pass, or null.
template <class T>
struct GatedScanForward {
  const T* v = nullptr;
  const T* gate = nullptr;
  const Compute<T>* bias = nullptr;
  const T* b = nullptr;
  const T* c = nullptr;
  const Compute<T>* initial = nullptr;
  T* y = nullptr;
  Compute<T>* final = nullptr;
  Compute<T>* checkpoints = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t width = 0;
  std::int64_t states = 0;
  std::int64_t v_stride = 0;
  std::int64_t gate_stride = 0;
  std::int64_t b_stride = 0;
  std::int64_t c_stride = 0;
  std::int64_t y_stride = 0;
};

/// dv, dgate, db, dc: written, laid out like their inputs with strides of their own, overlapping nothing. dbias: added to.
/// checkpoints: from the forward pass. initial is a constant: no gradient flows into it.
template <class T>
struct GatedScanBackward {
  const T* v = nullptr;
  const T* gate = nullptr;
  const Compute<T>* bias = nullptr;
  const T* b = nullptr;
  const T* c = nullptr;
  const Compute<T>* checkpoints = nullptr;
  const T* dy = nullptr;
  T* dv = nullptr;
  T* dgate = nullptr;
  Compute<T>* dbias = nullptr;
  T* db = nullptr;
  T* dc = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t width = 0;
  std::int64_t states = 0;
  std::int64_t v_stride = 0;
  std::int64_t gate_stride = 0;
  std::int64_t b_stride = 0;
  std::int64_t c_stride = 0;
  std::int64_t dy_stride = 0;
  std::int64_t dv_stride = 0;
  std::int64_t dgate_stride = 0;
  std::int64_t db_stride = 0;
  std::int64_t dc_stride = 0;
};

/// Elements of `checkpoints`.
constexpr std::int64_t gated_scan_checkpoint_elements(std::int64_t batch, std::int64_t length, std::int64_t width, std::int64_t states) {
  return batch * ((length + gated_scan_chunk - 1) / gated_scan_chunk) * width * states;
}

template <Level level, class T>
void execute(const GatedScanForward<T>& arguments);
template <Level level, class T>
void execute(const GatedScanBackward<T>& arguments);

template <class T>
void gated_scan_forward(const GatedScanForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void gated_scan_backward(const GatedScanBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
