// Root-mean-square normalisation over channels.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::operators {

inline constexpr double norm_epsilon = 1e-5;

/// x (batch, length, channels) / √(mean x² + ε) ⊙ weight (channels).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight);
/// The same rounded to `type`: that of x, or bfloat16 of a float x.
at::Tensor rms_norm_to(at::ScalarType type, const at::Tensor& x, const at::Tensor& weight);

}  // namespace starling::operators
