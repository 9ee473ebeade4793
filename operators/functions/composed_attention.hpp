// Attention made of LibTorch's operations, for devices that no kernel of ours serves: the function of kernels/attention.hpp, also without a
// queries × keys tensor. Sequences of which a token sees a band or a block are first cut into pieces in which a token sees all.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include <starling/operators/functions/attention.hpp>

namespace starling::operators {

/// How the weights of a piece are made.
enum class AttentionForm {
  chunks,  ///< chunks of queries, each computed again in the backward pass: every kind of score
  fused,   ///< at::scaled_dot_product_attention: softmax alone; its backward pass may sum in another order every time
};

/// Whether LibTorch has what `fused` needs (2.1 and later).
bool has_fused_attention();

/// Elements of the scores of one chunk of queries.
inline constexpr std::int64_t attention_chunk_elements = std::int64_t{1} << 25;

/// q (batch, queries, heads · width), k and v (batch, keys, …), rotated: as attend(), whose conventions it has. Differentiable. With as many
/// queries as keys a key is the first of its sequence.
at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores,
                              AttentionForm form, std::int64_t chunk_elements = attention_chunk_elements);

}  // namespace starling::operators
