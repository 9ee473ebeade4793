// Monarch matrices (Dao et al. 2022, arXiv 2204.00595): projections through two block-diagonal factors.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::operators {

/// x (batch, length, blocks · block) → (batch, length, block_outputs · block), right (blocks, block, block), left (block,
/// block_outputs, blocks); sizes as base/monarch.hpp gives them:
///   y[o · block + k] = Σ_β left[k, o, β] Σ_j right[β, k, j] x[β · block + j].
at::Tensor monarch(const at::Tensor& x, const at::Tensor& right, const at::Tensor& left);

}  // namespace starling::operators
