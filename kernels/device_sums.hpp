// Sums over rows without atomics: every block of a kernel leaves a row of partial sums, a second launch adds the rows in order.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

/// to[c] += Σ_r partials[r, c], or = where `written`; r < rows, always in the same order.
template <class C>
struct SumPartials {
  const C* partials;
  C* to;
  Index rows;
  Index width;
  bool written = false;

  static constexpr int columns = 32;
  static constexpr int lines = 8;  // that share the rows of a column
  static constexpr int threads = columns * lines;
  Index blocks() const { return quotient_up(width, columns); }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(C); }

  STARLING_DEVICE void operator()(Block& block) const {
    C* const sums = reinterpret_cast<C*>(block.shared);
    const Index column = block.index * columns + block.thread % columns;
    C sum = C(0);
    if (column < width)
      for (Index r = block.thread / columns; r < rows; r += lines) sum += partials[r * width + column];
    sums[block.thread] = sum;
    block.wait();
    if (block.thread >= columns || column >= width) return;
    for (int line = 1; line < lines; ++line) sum += sums[line * columns + block.thread];
    to[column] = written ? sum : to[column] + sum;
  }
};

/// The gradients of B and C (per token and state, for all channels) from what `groups` of channels have left: (groups, tokens, 2,
/// states).
template <class T, class C>
struct SumModulators {
  const C* partials;
  T* db;
  T* dc;
  Index groups;
  Index tokens;
  Index states;
  Index db_stride;
  Index dc_stride;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(tokens * 2 * states, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index all = tokens * 2 * states, item = block.item();
    if (item >= all) return;
    C sum = C(0);
    for (Index g = 0; g < groups; ++g) sum += partials[g * all + item];
    const Index token = item / (2 * states), n = item % (2 * states);
    if (n < states)
      db[token * db_stride + n] = T(sum);
    else
      dc[token * dc_stride + n - states] = T(sum);
  }
};

}  // namespace starling::kernels::device
