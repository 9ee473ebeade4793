// Square tiles of a chunk of tokens in shared memory and products of tiles, which a block sums in registers: of a thread 8 rows × 4
// columns. A tile is 64 × 64 (double: 32 × 32), zero where its array has ended. Triangular products touch nothing above the diagonal: a
// NaN of a later token stays there.
//
// Per step of 4 along the inner dimension a thread loads 8 bundles of its rows and 4 bundles or 16 numbers of its columns for 128
// multiply-adds. Rows are padded by a bundle, and every eighth by another, so that neither the columns of a warp nor its two groups of
// rows meet in a bank.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

template <class C>
struct Tile {
  static constexpr int side = sizeof(C) == 4 ? 64 : 32;
  static constexpr int bundle = 16 / static_cast<int>(sizeof(C));
  static constexpr int rows = 8;     ///< of a thread, neighbours
  static constexpr int columns = 4;  ///< of a thread, `lanes` apart
  static constexpr int lanes = side / columns;
  static constexpr int threads = side / rows * lanes;
  static constexpr int stride = side + bundle;
  static constexpr int elements = side * stride + side / rows * bundle;

  C* data;

  STARLING_DEVICE C* row(int r) const { return data + r * stride + r / rows * bundle; }
  STARLING_DEVICE C& at(int r, int c) const { return row(r)[c]; }
};

/// What a thread sums of a tile.
template <class C>
struct TileSums {
  C of[Tile<C>::rows][Tile<C>::columns];
};

/// Which of them: rows from `row` on, columns `lane`, lane + lanes, …
template <class C>
struct TilePlace {
  int row;
  int lane;

  /// Blocks begin at different rows: the long ones of triangles come to all schedulers of a multiprocessor.
  STARLING_DEVICE static TilePlace of(const Block& block) {
    using Of = Tile<C>;
    constexpr int groups = Of::side / Of::rows;
    const int turn = static_cast<int>(block.index % (groups / 2)) * 2;
    return {(block.thread / Of::lanes + turn) % groups * Of::rows, block.thread % Of::lanes};
  }
  STARLING_DEVICE int column(int n) const { return lane + n * Tile<C>::lanes; }
};

/// sums += Σ left[row][m] right[m][column], m < depth.
template <class C>
STARLING_DEVICE void add_rows(Tile<C> left, Tile<C> right, int depth, const TilePlace<C>& me, TileSums<C>& sums) {
  using Of = Tile<C>;
  const C* const mine = left.row(me.row);
  for (int m = 0; m < depth; m += Of::bundle) {
    C l[Of::rows][Of::bundle];
    for (int r = 0; r < Of::rows; ++r) load<Of::bundle>(mine + r * Of::stride + m, l[r]);
    const C* const across = right.row(m) + me.lane;
    for (int s = 0; s < Of::bundle; ++s)
      for (int n = 0; n < Of::columns; ++n) {
        const C x = across[s * Of::stride + n * Of::lanes];
        for (int r = 0; r < Of::rows; ++r) sums.of[r][n] += l[r][s] * x;
      }
  }
}

/// sums += Σ left[row][m] right[column][m], m < depth.
template <class C>
STARLING_DEVICE void add_dots(Tile<C> left, Tile<C> right, int depth, const TilePlace<C>& me, TileSums<C>& sums) {
  using Of = Tile<C>;
  const C* const mine = left.row(me.row);
  const C* theirs[Of::columns];
  for (int n = 0; n < Of::columns; ++n) theirs[n] = right.row(me.column(n));
  for (int m = 0; m < depth; m += Of::bundle) {
    C x[Of::columns][Of::bundle];
    for (int n = 0; n < Of::columns; ++n) load<Of::bundle>(theirs[n] + m, x[n]);
    for (int r = 0; r < Of::rows; ++r) {
      C l[Of::bundle];
      load<Of::bundle>(mine + r * Of::stride + m, l);
      for (int s = 0; s < Of::bundle; ++s)
        for (int n = 0; n < Of::columns; ++n) sums.of[r][n] += l[s] * x[n][s];
    }
  }
}

/// sums += Σ left[m][row] right[m][column], m < depth.
template <class C>
STARLING_DEVICE void add_outer(Tile<C> left, Tile<C> right, int depth, const TilePlace<C>& me, TileSums<C>& sums) {
  using Of = Tile<C>;
  for (int m = 0; m < depth; ++m) {
    C l[Of::rows];
    for (int r = 0; r < Of::rows; r += Of::bundle) load<Of::bundle>(left.row(m) + me.row + r, l + r);
    for (int n = 0; n < Of::columns; ++n) {
      const C x = right.at(m, me.column(n));
      for (int r = 0; r < Of::rows; ++r) sums.of[r][n] += l[r] * x;
    }
  }
}

/// sums = what they were, passed on through the row's tokens, + Σ_{m ≤ row} weights[row][m] right[m][column]. `decays`: before token m
/// is added the sums are multiplied with decay[m][column].
template <bool decays, class C>
STARLING_DEVICE void add_earlier(Tile<C> weights, Tile<C> right, Tile<C> decay, const TilePlace<C>& me, TileSums<C>& sums) {
  using Of = Tile<C>;
  const C* const mine = weights.row(me.row);
  const auto step = [&](const C(&l)[Of::rows][Of::bundle], int m, int s, int first_row) {
    for (int n = 0; n < Of::columns; ++n) {
      const C x = right.at(m + s, me.column(n));
      if constexpr (decays) {
        const C kept = decay.at(m + s, me.column(n));
        for (int r = 0; r < Of::rows; ++r)
          if (r >= first_row) sums.of[r][n] = sums.of[r][n] * kept + l[r][s] * x;
      } else {
        for (int r = 0; r < Of::rows; ++r)
          if (r >= first_row) sums.of[r][n] += l[r][s] * x;
      }
    }
  };
  for (int m = 0; m < me.row; m += Of::bundle) {
    C l[Of::rows][Of::bundle];
    for (int r = 0; r < Of::rows; ++r) load<Of::bundle>(mine + r * Of::stride + m, l[r]);
    for (int s = 0; s < Of::bundle; ++s) step(l, m, s, 0);
  }
  for (int d = 0; d < Of::rows; d += Of::bundle) {
    C l[Of::rows][Of::bundle];
    for (int r = 0; r < Of::rows; ++r) load<Of::bundle>(mine + r * Of::stride + me.row + d, l[r]);
    for (int s = 0; s < Of::bundle; ++s) step(l, me.row + d, s, d + s);
  }
}

/// The mirror image: Σ_{row ≤ m < count} weights[m][row] right[m][column], from the last token; behind token m > row the sums are
/// multiplied with decay[m][column].
template <bool decays, class C>
STARLING_DEVICE void add_later(Tile<C> weights, Tile<C> right, Tile<C> decay, int count, const TilePlace<C>& me, TileSums<C>& sums) {
  using Of = Tile<C>;
  // of rows r ≤ last; the last of the diagonal is its own token's
  const auto step = [&](int m, int last, bool diagonal) {
    C l[Of::rows];
    for (int r = 0; r < Of::rows; r += Of::bundle) load<Of::bundle>(weights.row(m) + me.row + r, l + r);
    for (int n = 0; n < Of::columns; ++n) {
      const C x = right.at(m, me.column(n));
      for (int r = 0; r < Of::rows; ++r)
        if (r <= last) sums.of[r][n] += l[r] * x;
      if constexpr (decays) {
        const C kept = decay.at(m, me.column(n));
        for (int r = 0; r < Of::rows; ++r)
          if (r < last || (r == last && !diagonal)) sums.of[r][n] *= kept;
      }
    }
  };
  for (int m = count - 1; m >= me.row + Of::rows; --m) step(m, Of::rows - 1, false);
  for (int d = Of::rows - 1; d >= 0; --d)
    if (me.row + d < count) step(me.row + d, d, true);
}

/// sums[row] *= factor[row].
template <class C>
STARLING_DEVICE void scale_rows(const C* factor, const TilePlace<C>& me, TileSums<C>& sums) {
  for (int r = 0; r < Tile<C>::rows; ++r)
    for (int n = 0; n < Tile<C>::columns; ++n) sums.of[r][n] *= factor[me.row + r];
}

/// Rows of an array, `stride` apart, of which `count` × `width` are left; `bundles`: they may be loaded as such.
template <class X>
struct TileRows {
  X* data;
  Index stride;
  Index count;
  Index width;
  bool bundles;
};

/// map(row, column, value) of an array's elements, zero behind them.
template <class C, class X, class Map>
STARLING_DEVICE void fill(const Block& block, const TileRows<X>& from, Tile<C> tile, Map map) {
  using Of = Tile<C>;
  constexpr int per_row = Of::side / Of::bundle, under_way = 4;
  static_assert(Of::side * per_row % (Of::threads * under_way) == 0);
  for (int first = block.thread; first < Of::side * per_row; first += Of::threads * under_way) {
    C values[under_way][Of::bundle] = {};
    for (int i = 0; i < under_way; ++i) {
      const int row = (first + i * Of::threads) / per_row, column = (first + i * Of::threads) % per_row * Of::bundle;
      if (row >= from.count) continue;
      const X* const at = from.data + row * from.stride + column;
      if (from.bundles && column + Of::bundle <= from.width) {
        load<Of::bundle>(at, values[i]);
      } else {
        for (int n = 0; n < Of::bundle; ++n)
          if (column + n < from.width) values[i][n] = C(at[n]);
      }
    }
    for (int i = 0; i < under_way; ++i) {
      const int row = (first + i * Of::threads) / per_row, column = (first + i * Of::threads) % per_row * Of::bundle;
      for (int n = 0; n < Of::bundle; ++n)
        if (row < from.count && column + n < from.width) values[i][n] = map(row, column + n, values[i][n]);
      store<Of::bundle>(tile.row(row) + column, values[i]);
    }
  }
}

/// What a thread has summed, to the array.
template <class C, class X>
STARLING_DEVICE void write(const TileRows<X>& to, const TilePlace<C>& me, const TileSums<C>& sums) {
  for (int r = 0; r < Tile<C>::rows; ++r) {
    if (me.row + r >= to.count) continue;
    X* const row = to.data + (me.row + r) * to.stride;
    for (int n = 0; n < Tile<C>::columns; ++n)
      if (me.column(n) < to.width) row[me.column(n)] = X(sums.of[r][n]);
  }
}

}  // namespace starling::kernels::device
