// What a sequence keeps of its last tokens, and the pieces of a sequence that lie in one block.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace starling::operators {

/// The tokens that a token sees: all before it and itself, or of these the last `window`, or those of its block of `block`
/// tokens. At most one is not 0.
struct Sight {
  std::int64_t window = 0;
  std::int64_t block = 0;

  /// Tokens that have to be kept; 0 for all.
  std::int64_t limit() const { return window > 0 ? window : block; }
};

/// Adds the entries (batch, count, …) of the tokens from `position` on to a history (batch, room, …) that is updated in place;
/// what the new tokens see, oldest first: with blocks, from the begin of the block that holds the first of them. room ≥
/// min(sight.limit(), position + count) where there is a limit, else ≥ position + count.
at::Tensor continue_history(const at::Tensor& history, std::int64_t position, const at::Tensor& entries, const Sight& sight);

/// Calls made(first, count) for the parts of `count` tokens from `position` on that lie in one block of `block`, and joins
/// what it gives, each (batch, count, …). `first` counts from 0 at `position`.
at::Tensor in_blocks(std::int64_t position, std::int64_t count, std::int64_t block,
                     const std::function<at::Tensor(std::int64_t first, std::int64_t count)>& made);

/// Sequences (batch, length, channels) cut into blocks, (batch · blocks, block, channels), the last filled up with zeros; and
/// back. Where one block holds the whole sequence it stays as it is.
at::Tensor blocks_of(const at::Tensor& x, std::int64_t block);
at::Tensor joined_blocks(const at::Tensor& blocks, std::int64_t batch, std::int64_t length);

}  // namespace starling::operators
