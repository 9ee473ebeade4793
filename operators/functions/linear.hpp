// Dense projections, fused where weights and gradients stand side by side in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace starling::operators {

/// x (batch, length, inputs) times each weight (outputs_i, inputs): (batch, length, outputs_i), slices of one buffer.
/// Weights that are neighbours in memory are one matrix product, and so are their gradients where the next function
/// back wrote them side by side.
std::vector<at::Tensor> project(const at::Tensor& x, const std::vector<at::Tensor>& weights);

/// residual (batch, length, outputs) + h (batch, length, inputs) · weightᵀ (outputs, inputs). The residual is float where h and
/// weight are bfloat16: the product is rounded, the sum is not.
at::Tensor add_projection(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& weight);

}  // namespace starling::operators
