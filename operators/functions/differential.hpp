// What differential operators (Ye et al. 2024, arXiv 2410.05258) add to their base: T = T₁ − λ T₂.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace starling::operators {

/// λ₀ of the LIV at a position counted from 1: 0.2 at the first, towards 0.8 with depth.
double initial_lambda(std::int64_t position);

/// λ = exp(λ_q1 · λ_k1) − exp(λ_q2 · λ_k2) + λ₀, a scalar. vectors: (4, n), the rows λ_q1, λ_k1, λ_q2, λ_k2.
at::Tensor lambda_of(const at::Tensor& vectors, double initial);

/// first − λ second, of any one shape.
at::Tensor difference(const at::Tensor& first, const at::Tensor& second, const at::Tensor& lambda);

/// The same where both maps stand in one tensor: maps (batch, length, groups · 2 · channels), in every group first the
/// channels of T₁, then those of T₂; (batch, length, groups · channels).
at::Tensor difference_in_groups(const at::Tensor& maps, const at::Tensor& lambda, std::int64_t groups);

}  // namespace starling::operators
