// Causal linear attention with φ = elu + 1, normalised, in training and continuing a sequence.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace starling::operators {

/// y_t = φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) v_sᵀ / φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) per head; q, k, v: (batch, length, heads · width).
at::Tensor linear_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads);

/// What the tokens before have left, contiguous, and whether the new ones are added in place.
struct AttentionSums {
  const at::Tensor& state;    ///< Σ φ(k) vᵀ (batch, heads, width, width)
  const at::Tensor& key_sum;  ///< Σ φ(k) (batch, heads · width)
  bool carry_state = true;
  bool carry_key_sum = true;
};
/// The same, continuing a sequence. No gradient.
at::Tensor continue_linear_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads,
                                     const AttentionSums& sums);

}  // namespace starling::operators
