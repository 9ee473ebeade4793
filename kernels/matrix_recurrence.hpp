// Recurrence of a matrix-valued state, per head (Katharopoulos et al. 2020, arXiv 2006.16236; with decays Yang et al. 2023,
// arXiv 2312.06635, and Dao and Gu 2024, arXiv 2405.21060):
//   S_t = a_t ⊙ S_{t−1} + k_t v_tᵀ,  y_t = S_tᵀ q_t,  a_t = exp(log_decay_t): 1, a number per head, or one per key channel.
// The backward pass is three such recurrences and keeps no states. With G_t the gradient of S_t, from the last token:
//   G_t = q_t dy_tᵀ + a_{t+1} ⊙ G_{t+1},  dq_t = S_t dy_t,  dk_t = G_t v_t,  dv_t = G_tᵀ k_t,
//   dlog_decay_t = Σ_{s ≥ t} (q_s ⊙ dq_s − k_s ⊙ dk_s), summed over key channels where the decay is per head.
// Decays are multiplied one after the other, never divided by: any log_decay ≤ 0 is safe, −∞ included, which forgets all.
// No token moves an output before it, NaN included. Splitting a sequence and carrying the state gives the same numbers as
// the whole. Scratch O(key_width · value_width + chunk · widths), with a decay's gradient + length · key_width. One thread per call.
// float, double and bfloat16 (with decays, their gradient and states in float; the sum above takes gradients before they are rounded).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>
#include <starling/kernels/head_strides.hpp>

#include <cstdint>

namespace starling::kernels {

enum class MatrixDecay { none, per_head, per_channel };

/// q, k: (batch, length, heads, key_width); v, y: (batch, length, heads, value_width); log_decay: (batch, length, heads) with
/// decay per_head (its strides' inner dimension has one element), (batch, length, heads, key_width) with per_channel.
/// initial, final: (batch, heads, key_width, value_width), contiguous, or null; final may be initial. y must not overlap the
/// inputs.
template <class T>
struct MatrixRecurrenceForward {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const Compute<T>* log_decay = nullptr;
  const Compute<T>* initial = nullptr;
  T* y = nullptr;
  Compute<T>* final = nullptr;
  HeadStrides q_strides;
  HeadStrides k_strides;
  HeadStrides v_strides;
  HeadStrides log_decay_strides;
  HeadStrides y_strides;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t heads = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
  MatrixDecay decay = MatrixDecay::none;
};

/// dq, dk, dv, dlog_decay are written, laid out like their inputs with strides of their own (dlog_decay null without decay);
/// no two arrays may overlap. initial is a constant: no gradient flows into it.
template <class T>
struct MatrixRecurrenceBackward {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const Compute<T>* log_decay = nullptr;
  const Compute<T>* initial = nullptr;
  const T* dy = nullptr;
  T* dq = nullptr;
  T* dk = nullptr;
  T* dv = nullptr;
  Compute<T>* dlog_decay = nullptr;
  HeadStrides q_strides;
  HeadStrides k_strides;
  HeadStrides v_strides;
  HeadStrides log_decay_strides;
  HeadStrides dy_strides;
  HeadStrides dq_strides;
  HeadStrides dk_strides;
  HeadStrides dv_strides;
  HeadStrides dlog_decay_strides;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t heads = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
  MatrixDecay decay = MatrixDecay::none;
};

template <Level level, class T>
void execute(const MatrixRecurrenceForward<T>& arguments);
template <Level level, class T>
void execute(const MatrixRecurrenceBackward<T>& arguments);

template <class T>
void matrix_recurrence_forward(const MatrixRecurrenceForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void matrix_recurrence_backward(const MatrixRecurrenceBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
