// Depthwise causal convolutions with kernels as long as the sequence.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace starling::operators {

/// c ⊙ (kernel * (b ⊙ v)), all (batch, length, channels); kernel (length, channels), lag 0 first.
at::Tensor gated_long_conv(const at::Tensor& b, const at::Tensor& c, const at::Tensor& v, const at::Tensor& kernel);

/// The last `outputs` tokens of kernel * x; x (batch, length, channels), its tokens and channels contiguous; kernel as above.
/// No gradient.
at::Tensor last_of_long_conv(const at::Tensor& x, const at::Tensor& kernel, std::int64_t outputs);

}  // namespace starling::operators
