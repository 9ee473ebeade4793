// Sums over rows without atomics: every block of a kernel leaves a row of partial sums, a second launch adds the rows in order.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

/// to[c] += Σ_r partials[r, c], r < rows, always in the same order.
template <class C>
struct SumPartials {
  const C* partials;
  C* to;
  Index rows;
  Index width;

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
    to[column] += sum;
  }
};

}  // namespace starling::kernels::device
