// Selective state space (S6; Gu and Dao 2023, arXiv 2312.00752), per channel c and state n:
//   Δ_t = softplus(delta_t + bias),  A = −exp(a_log),
//   h_t[c, n] = exp(Δ_t[c] A[c, n]) · h_{t−1}[c, n] + Δ_t[c] · B_t[n] · v_t[c],
//   y_t[c] = (Σ_n C_t[n] h_t[c, n] + skip[c] · v_t[c]) · silu(z_t[c])            (the last factor only where z is
//   given)
// The backward pass recomputes the states from one checkpoint per chunk of scan_chunk tokens and never divides by a
// decay:
//   g_t = C_t u_t + exp(Δ_{t+1} A) g_{t+1} (u = dy · silu(z)),  dA += Δ_t exp(Δ_t A) h_{t−1} g_t,  dΔ_t = Σ_n g_t (A
//   exp(Δ_t A) h_{t−1} + B_t v_t), dB_t = Σ_c g_t Δ_t v_t,  dC_t = Σ_c u_t h_t,  dv_t = Δ_t Σ_n g_t B_t + skip u_t,
//   da_log = A dA.
// Scratch O(states · (width + scan_chunk · vector width)), not O(length). One thread per call. float,
// double and bfloat16 (with parameters, their gradients, states and checkpoints in float); fastest at states = 16.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

inline constexpr std::int64_t scan_chunk = 64;

/// v, delta, z, y: (batch, length, width); b, c: (batch, length, states); inner dimension contiguous, tokens `*_stride`
/// elements apart, sequences length · stride apart, so that b, c and others may be slices of one projection. bias,
/// skip: (width) or null; z: null for no gate. a_log: (width, states). initial, final: (batch, width, states) or null;
/// final may be initial. y must not overlap the inputs. checkpoints: (batch, ceil(length / scan_chunk), states, width),
/// the state before each chunk for the backward pass, or null.
template <class T>
struct SelectiveScanForward {
  const T* v = nullptr;
  const T* delta = nullptr;
  const Compute<T>* bias = nullptr;
  const Compute<T>* a_log = nullptr;
  const T* b = nullptr;
  const T* c = nullptr;
  const Compute<T>* skip = nullptr;
  const T* z = nullptr;
  const Compute<T>* initial = nullptr;
  T* y = nullptr;
  Compute<T>* final = nullptr;
  Compute<T>* checkpoints = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t width = 0;
  std::int64_t states = 0;
  std::int64_t v_stride = 0;
  std::int64_t delta_stride = 0;
  std::int64_t b_stride = 0;
  std::int64_t c_stride = 0;
  std::int64_t z_stride = 0;
  std::int64_t y_stride = 0;
};

/// dv, ddelta (gradient of the raw delta), db, dc, dz: written, laid out like their inputs with strides of their own.
/// dbias, da_log, dskip: added to; dbias and dskip null where the parameter is. dz null where z is. checkpoints: from
/// the forward pass. initial is a constant: no gradient flows into it.
template <class T>
struct SelectiveScanBackward {
  const T* v = nullptr;
  const T* delta = nullptr;
  const Compute<T>* bias = nullptr;
  const Compute<T>* a_log = nullptr;
  const T* b = nullptr;
  const T* c = nullptr;
  const Compute<T>* skip = nullptr;
  const T* z = nullptr;
  const Compute<T>* checkpoints = nullptr;
  const T* dy = nullptr;
  T* dv = nullptr;
  T* ddelta = nullptr;
  Compute<T>* dbias = nullptr;
  Compute<T>* da_log = nullptr;
  T* db = nullptr;
  T* dc = nullptr;
  Compute<T>* dskip = nullptr;
  T* dz = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t width = 0;
  std::int64_t states = 0;
  std::int64_t v_stride = 0;
  std::int64_t delta_stride = 0;
  std::int64_t b_stride = 0;
  std::int64_t c_stride = 0;
  std::int64_t z_stride = 0;
  std::int64_t dy_stride = 0;
  std::int64_t dv_stride = 0;
  std::int64_t ddelta_stride = 0;
  std::int64_t db_stride = 0;
  std::int64_t dc_stride = 0;
  std::int64_t dz_stride = 0;
};

/// Elements of `checkpoints`.
constexpr std::int64_t scan_checkpoint_elements(std::int64_t batch, std::int64_t length, std::int64_t width, std::int64_t states) {
  return batch * ((length + scan_chunk - 1) / scan_chunk) * width * states;
}

template <Level level, class T>
void execute(const SelectiveScanForward<T>& arguments);
template <Level level, class T>
void execute(const SelectiveScanBackward<T>& arguments);

template <class T>
void selective_scan_forward(const SelectiveScanForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void selective_scan_backward(const SelectiveScanBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
