// Causal attention with rotary positions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include <starling/kernels/attention.hpp>
#include <starling/operators/functions/history.hpp>

namespace starling::operators {

/// Query head h reads key head h / (heads / key_heads), and value head likewise.
struct Heads {
  std::int64_t query = 1;
  std::int64_t key = 1;
  std::int64_t value = 1;
};

/// What becomes of q · k / √width, and which keys a query sees.
struct Scores {
  kernels::AttentionScore kind = kernels::AttentionScore::softmax;
  Sight sight;
  bool rotary = true;  ///< q and k are rotated by their positions
};

struct Attended {
  at::Tensor y;
  at::Tensor k;  ///< the keys that were used, rotated
};

/// q (batch, length, query heads · width), k and v likewise with their heads. Rotates q, and k where it is not rotated
/// yet (keys read from another LIV are).
Attended attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores, bool rotate_k);

/// Rotated q (batch, queries, …) over rotated k and v (batch, keys, …), the last query at the last key, with blocks the first
/// key at the begin of one; only the inner dimension need be contiguous. No gradient.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores);

/// φ(x) = elu(x) + 1, accurate where it is small: what linear scores are made of.
at::Tensor positive_features(const at::Tensor& x);

}  // namespace starling::operators
