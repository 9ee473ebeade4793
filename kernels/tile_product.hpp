// Products of small matrices that lie in cache: C (+)= A B, accumulated in registers. B and C have rows of whole packs
// (padded by the caller), A is read number by number with any strides, so that a transposed A costs nothing. Only for
// x_cpu.cpp.
#pragma once

#include <starling/kernels/simd.hpp>

namespace starling::kernels {
namespace {

/// C[i, j] = (add ? C[i, j] : 0) + Σ_k A[i · a_row + k · a_column] B[k · b_row + j] for i < rows, j < columns (a
/// multiple of lanes<T>).
template <class T>
struct TileProduct {
  const T* a;
  std::int64_t a_row;
  std::int64_t a_column;
  const T* b;
  std::int64_t b_row;
  T* c;
  std::int64_t c_row;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t depth;
};

template <bool add, int rows, int packs, class T>
[[gnu::always_inline]] inline void register_block(const TileProduct<T>& p, std::int64_t row, std::int64_t column) {
  T* c = p.c + row * p.c_row + column;
  Pack<T> total[rows][packs];
  for (int r = 0; r < rows; ++r)
    for (int k = 0; k < packs; ++k) total[r][k] = add ? load(c + r * p.c_row + k * lanes<T>) : Pack<T>{};
  const T* a = p.a + row * p.a_row;
  const T* b = p.b + column;
  for (std::int64_t i = 0; i < p.depth; ++i) {
    Pack<T> line[packs];
    for (int k = 0; k < packs; ++k) line[k] = load(b + k * lanes<T>);
    for (int r = 0; r < rows; ++r) {
      const Pack<T> factor = splat(a[r * p.a_row]);
      for (int k = 0; k < packs; ++k) total[r][k] = factor * line[k] + total[r][k];
    }
    a += p.a_column;
    b += p.b_row;
  }
  for (int r = 0; r < rows; ++r)
    for (int k = 0; k < packs; ++k) store(c + r * p.c_row + k * lanes<T>, total[r][k]);
}

/// All rows of `packs` packs of columns, in register blocks of `rows` rows, then of fewer.
template <bool add, int rows, int packs, class T>
std::int64_t column_strip(const TileProduct<T>& p, std::int64_t column, std::int64_t row = 0) {
  for (; row + rows <= p.rows; row += rows) register_block<add, rows, packs>(p, row, column);
  if constexpr (rows > 1) {
    if (row < p.rows) row = column_strip<add, (rows > 6 ? 6 : rows > 4 ? 4 : rows / 2), packs>(p, column, row);
  }
  return row;
}

template <bool add, class T>
void tile_product(const TileProduct<T>& p) {
  // 32 registers hold 24 sums, the line of B and a factor; 16 hold 12.
  constexpr std::int64_t pack = lanes<T>;
  std::int64_t column = 0;
  if constexpr (here == Level::v4)
    for (; column + 4 * pack <= p.columns; column += 4 * pack) column_strip<add, 6, 4>(p, column);
  for (; column + 2 * pack <= p.columns; column += 2 * pack) column_strip<add, (here == Level::v4 ? 12 : 6), 2>(p, column);
  if (column < p.columns) column_strip<add, 12, 1>(p, column);
}

}  // namespace
}  // namespace starling::kernels
