// Matrix products of what operators compute in.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::operators {

/// Whether LibTorch multiplies matrices of bfloat16 by instructions made for it (AVX512-BF16, AMX). Without these it is several
/// times slower than in float, and where it has no AVX-512 either it even sums in bfloat16: products are then made in float. Devices
/// are not asked: theirs are made in bfloat16 at once.
bool multiplies_bfloat16();

/// Makes every later answer of it false, or what the processor says again. For tests.
void pretend_no_bfloat16_products(bool pretend);

/// left · right, summed in float at least (on a device where LibTorch is told so) and rounded to their type once. (rows, depth) ·
/// (depth, columns), any strides.
at::Tensor product(const at::Tensor& left, const at::Tensor& right);
/// The same written to `out`, or added to it; `out` may be float where the factors are bfloat16.
void product_into(at::Tensor out, const at::Tensor& left, const at::Tensor& right);
void add_product(at::Tensor out, const at::Tensor& left, const at::Tensor& right);
/// (count, rows, depth) · (count, depth, columns). Differentiable.
at::Tensor batched_product(const at::Tensor& left, const at::Tensor& right);
void batched_product_into(at::Tensor out, const at::Tensor& left, const at::Tensor& right);

}  // namespace starling::operators
