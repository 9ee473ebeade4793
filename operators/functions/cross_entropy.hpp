// Output projection and cross-entropy in one, over chunks of rows, so that the logits of a batch never exist as a
// whole.
#pragma once

#include <ATen/core/Tensor.h>

#include <starling/kernels/cross_entropy.hpp>

namespace starling::operators {

/// Mean over the counted targets of the cross-entropy in nats of hidden (rows…, width) · embeddingᵀ (vocabulary, width)
/// against targets (int64, rows…; −100 is ignored). A scalar; 0 where no target counts. The gradient is computed in the
/// forward pass. Throws std::out_of_range for a target that is neither a row of the embedding nor ignored.
/// `counted`, where it is not negative, is the number of targets to divide by instead of those that count here: of a batch of which these are a part,
/// so that the parts' values and gradients add up to the batch's.
/// On a device nothing waits for it where `counted` is given and the targets are there already, which are then not checked any more: whoever
/// brings them there calls check_targets() before.
at::Tensor cross_entropy(const at::Tensor& hidden, const at::Tensor& embedding, const at::Tensor& targets, std::int64_t counted = -1);

/// Throws std::out_of_range; `targets` are on the CPU.
void check_targets(const at::Tensor& targets, std::int64_t vocabulary);

/// The sums behind it and every row's argmax (int64, as targets; written to `predictions`, where the hidden values are). No gradient.
kernels::CrossEntropySums score(const at::Tensor& hidden, const at::Tensor& embedding, const at::Tensor& targets,
                                const at::Tensor& predictions);

}  // namespace starling::operators
