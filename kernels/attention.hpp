// Causal attention over scores without a length × length tensor (tiles of queries × keys with a running softmax; Dao et al.
// 2022, arXiv 2205.14135; Rabe and Staats 2021, arXiv 2112.05682):
//   s_ij = scale · q_i · k_j for the keys j that query i sees,  out_i = Σ_j w_ij v_j,
//   softmax: w = exp(s_ij) / Σ_j exp(s_ij);   linear: w = s_ij / Σ_j s_ij (for scores that are positive);
//   relu, silu, gelu: w = f(s_ij) / n_i, n_i the number of keys that query i sees (Wortsman et al. 2023, arXiv 2309.08586).
// The last query meets the last key, so that queries < keys continues a cached sequence and queries = 1 is one step of
// generation: query i meets key m = keys − queries + i and sees the keys j ≤ m, with a window those > m − window, with
// blocks those of its own block, ≥ ⌊m / block⌋ · block (key 0 begins a block).
// Grouped queries: query head h reads key head h / (heads / key_heads) and value head h / (heads / value_heads). The backward
// pass recomputes the tiles from the normaliser. With dw_ij = dout_i · v_j:
//   softmax: ds = w (dw − D_i), linear: ds = (dw − D_i) / Σ s, D_i = dout_i · out_i;  relu, …: ds = f'(s) dw / n_i;
//   dq = scale ds k, dk = scale dsᵀ q, dv = wᵀ dout.
// A change of a finite key or value moves no output before it; a NaN or infinity in v may also reach up to 11 queries
// before it (weight 0 × NaN inside a tile). Scratch O((queries + keys) · width). Sums run in the compute type. One thread per call.
// float, double and bfloat16 (with the normaliser in float).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>
#include <starling/kernels/head_strides.hpp>

#include <cstdint>

namespace starling::kernels {

enum class AttentionScore { softmax, linear, relu, silu, gelu };

/// q: (batch, queries, heads, key_width); k: (batch, keys, key_heads, key_width); v: (batch, keys, value_heads,
/// value_width); out: (batch, queries, heads, value_width); normaliser: (batch, heads, queries), contiguous, log Σ exp(s) of
/// softmax and 1 / Σ s of linear scores for the backward pass, or null; unused for the others. keys ≥ queries; key_heads and
/// value_heads divide heads. window: keys a query sees at most, itself included; block: tokens of a block; 0 for all, at most
/// one of them. out must not overlap the inputs.
template <class T>
struct AttentionForward {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  T* out = nullptr;
  Compute<T>* normaliser = nullptr;
  HeadStrides q_strides;
  HeadStrides k_strides;
  HeadStrides v_strides;
  HeadStrides out_strides;
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;
  std::int64_t value_heads = 0;
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
  std::int64_t window = 0;
  Compute<T> scale = Compute<T>(1);
  AttentionScore score = AttentionScore::softmax;
  std::int64_t block = 0;
};

/// dq, dk, dv are written, laid out like q, k, v with strides of their own; no two arrays may overlap.
template <class T>
struct AttentionBackward {
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const T* out = nullptr;
  const Compute<T>* normaliser = nullptr;
  const T* dout = nullptr;
  T* dq = nullptr;
  T* dk = nullptr;
  T* dv = nullptr;
  HeadStrides q_strides;
  HeadStrides k_strides;
  HeadStrides v_strides;
  HeadStrides out_strides;
  HeadStrides dout_strides;
  HeadStrides dq_strides;
  HeadStrides dk_strides;
  HeadStrides dv_strides;
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;
  std::int64_t value_heads = 0;
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t key_width = 0;
  std::int64_t value_width = 0;
  std::int64_t window = 0;
  Compute<T> scale = Compute<T>(1);
  AttentionScore score = AttentionScore::softmax;
  std::int64_t block = 0;
};

template <Level level, class T>
void execute(const AttentionForward<T>& arguments);
template <Level level, class T>
void execute(const AttentionBackward<T>& arguments);

template <class T>
void attention_forward(const AttentionForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void attention_backward(const AttentionBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
