// Where the rows of a head lie.
#pragma once

#include <cstdint>

namespace starling::kernels {

/// Distances in elements; the inner dimension (head width) is contiguous.
struct HeadStrides {
  std::int64_t batch = 0;
  std::int64_t token = 0;
  std::int64_t head = 0;

  // Inlined always: what is compiled for several instruction sets must leave no function that the linker may take for all of them.
  [[gnu::always_inline]] constexpr std::int64_t at(std::int64_t sequence, std::int64_t of_head) const {
    return sequence * batch + of_head * head;
  }
};

/// Strides of a contiguous (batch, tokens, heads, width).
constexpr HeadStrides contiguous_heads(std::int64_t tokens, std::int64_t heads, std::int64_t width) {
  return {tokens * heads * width, heads * width, width};
}

}  // namespace starling::kernels
