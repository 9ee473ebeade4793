// Sizes of a Monarch matrix (Dao et al. 2022, arXiv 2204.00595), M = Pᵀ L P R: R and L block-diagonal, P the permutation that
// writes a grid (blocks, block) column by column. Accounting and operators both need them.
#pragma once

#include <cstdint>

namespace starling {

struct MonarchSizes {
  std::int64_t blocks = 0;         ///< of R, each (block, block); inputs of every block of L
  std::int64_t block = 0;          ///< inputs / blocks; also the number of blocks of L, each (block_outputs, blocks)
  std::int64_t block_outputs = 0;  ///< outputs / block

  std::int64_t elements() const { return block * blocks * (block + block_outputs); }
};

/// Blocks: the divisor b of `inputs` nearest to its square root, of those for which inputs / b divides `outputs`. A square
/// matrix of width d has d (b + d / b) elements. Both at least 1.
MonarchSizes monarch_sizes(std::int64_t inputs, std::int64_t outputs);

}  // namespace starling
