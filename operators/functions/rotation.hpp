// Rotary position embedding of queries and keys.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace starling::operators {

/// Rotates x (batch, length, heads · width) into y (same sizes, may be x) for positions position … position + length −
/// 1; the inverse where asked. Both as_rows; plain computation, no gradient.
void rotate(const at::Tensor& x, const at::Tensor& y, std::int64_t heads, std::int64_t position, bool inverse = false);

/// x rotated for positions from 0 on; differentiable.
at::Tensor rotated(const at::Tensor& x, std::int64_t heads);

}  // namespace starling::operators
