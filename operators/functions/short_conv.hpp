// Depthwise causal convolutions with few taps, in training and continuing a sequence.
#pragma once

#include <ATen/core/Tensor.h>

#include <starling/kernels/short_conv.hpp>

namespace starling::operators {

/// x (batch, length, channels) convolved with taps (channels, k), the last tap meeting the current token; then the
/// activation. With `tail` (batch, k − 1, channels) the sequence is continued from these inputs, oldest first, and they
/// are updated; no gradient then.
at::Tensor short_conv(const at::Tensor& x, const at::Tensor& taps, kernels::ShortConvActivation activation,
                      const at::Tensor* tail = nullptr);

/// c ⊙ (taps * (b ⊙ v)), all (batch, length, channels); `tail` as above, of b ⊙ v.
at::Tensor gated_conv(const at::Tensor& b, const at::Tensor& c, const at::Tensor& v, const at::Tensor& taps,
                      const at::Tensor* tail = nullptr);

}  // namespace starling::operators
