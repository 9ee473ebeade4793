// Causal softmax attention with rotary positions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace starling::operators {

/// Query head h reads key head h / (heads / key_heads), and value head likewise.
struct Heads {
  std::int64_t query = 1;
  std::int64_t key = 1;
  std::int64_t value = 1;
};

struct Attended {
  at::Tensor y;
  at::Tensor k;  ///< the keys that were used, rotated
};

/// q (batch, length, query heads · width), k and v likewise with their heads. Rotates q, and k where it is not rotated
/// yet (keys read from another LIV are).
Attended attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, bool rotate_k);

/// Rotated q (batch, queries, …) over rotated k and v (batch, keys, …), the last query at the last key; only the inner
/// dimension need be contiguous. No gradient.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads);

}  // namespace starling::operators
