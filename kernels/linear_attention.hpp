// Causal linear attention with φ(x) = elu(x) + 1, normalised (Katharopoulos et al. 2020, arXiv 2006.16236), per head:
//   S_t = S_{t−1} + φ(k_t) v_tᵀ,  z_t = z_{t−1} + φ(k_t),  n_t = φ(q_t) · z_t,  y_t = S_tᵀ φ(q_t) / n_t.
// The backward pass recomputes the states. With e_t = dy_t / n_t, c_t = −(dy_t · y_t) / n_t and, from the last token,
//   G_t = φ(q_t) e_tᵀ + G_{t+1},  w_t = c_t φ(q_t) + w_{t+1}:
//   dq_t = φ'(q_t) ⊙ (S_t e_t + c_t z_t),  dk_t = φ'(k_t) ⊙ (G_t v_t + w_t),  dv_t = G_tᵀ φ(k_t).
// No token moves an output before it, NaN included. Splitting a sequence and carrying S and z gives the same numbers as the
// whole. Scratch O(key_width · value_width + chunk · widths), backwards O(length · key_width) besides. One thread per call. float,
// double and bfloat16 (with states, key sums and norms in float).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>
#include <starling/kernels/head_strides.hpp>

#include <cstdint>

namespace starling::kernels {

/// q, k: (batch, length, heads, key_width); v, y: (batch, length, heads, value_width). States, S: (batch, heads, key_width,
/// value_width), and key sums, z: (batch, heads, key_width), contiguous: before the first token (null for zero) and behind
/// the last (null where not wanted); final may be initial. inverse_norm: (batch, heads, length), 1 / n_t for the backward
/// pass, or null. y must not overlap the inputs.
template <class T>
struct LinearAttentionForward {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const Compute<T>* initial_state = nullptr;
  const Compute<T>* initial_key_sum = nullptr;
  T* y = nullptr;
  Compute<T>* final_state = nullptr;
  Compute<T>* final_key_sum = nullptr;
  Compute<T>* inverse_norm = nullptr;
  HeadStrides q_strides;
  HeadStrides k_strides;
  HeadStrides v_strides;
  HeadStrides y_strides;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t heads = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
};

/// Of a whole sequence (no initial state). dq, dk, dv are written, laid out like q, k, v with strides of their own; no two
/// arrays may overlap.
template <class T>
struct LinearAttentionBackward {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const T* y = nullptr;
  const Compute<T>* inverse_norm = nullptr;
  const T* dy = nullptr;
  T* dq = nullptr;
  T* dk = nullptr;
  T* dv = nullptr;
  HeadStrides q_strides;
  HeadStrides k_strides;
  HeadStrides v_strides;
  HeadStrides y_strides;
  HeadStrides dy_strides;
  HeadStrides dq_strides;
  HeadStrides dk_strides;
  HeadStrides dv_strides;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t heads = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
};

template <Level level, class T>
void execute(const LinearAttentionForward<T>& arguments);
template <Level level, class T>
void execute(const LinearAttentionBackward<T>& arguments);

template <class T>
void linear_attention_forward(const LinearAttentionForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void linear_attention_backward(const LinearAttentionBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
