// The heads of a (batch, length, heads · width) tensor, as kernels want them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include <starling/kernels/head_strides.hpp>

namespace starling::operators {

/// Only the inner dimension of x need be contiguous.
inline kernels::HeadStrides head_strides(const at::Tensor& x, std::int64_t heads) { return {x.stride(0), x.stride(1), x.size(2) / heads}; }

}  // namespace starling::operators
