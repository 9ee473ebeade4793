// How much of a batch's logits exists at once: the loss is made chunk after chunk (operators/functions/cross_entropy.hpp), and whoever counts
// memory counts one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace starling {

/// Rows of logits at once, of `rows` in all. On the CPU a chunk stays in the second-level cache, but is never so thin that the product becomes
/// a matrix-vector one. On a device there is no cache to stay in, and every chunk passes over the gradient of the embedding once more.
constexpr std::int64_t logit_chunk_rows(std::int64_t rows, std::int64_t vocabulary, bool on_device) {
  constexpr std::int64_t elements = std::int64_t{1} << 18;
  constexpr std::int64_t elements_of_device = std::int64_t{1} << 28;
  constexpr std::int64_t least = 128;
  return std::clamp((on_device ? elements_of_device : elements) / vocabulary, std::min(least, rows), rows);
}

}  // namespace starling
