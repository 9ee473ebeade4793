// Square tiles of a chunk of tokens in shared memory, zero where their arrays have ended: filled by a block, multiplied into sums that
// lie in its threads' registers (chunk_products_device.hpp), written from there. A tile is 64 × 64 (double: 32 × 32).
#pragma once

#include <starling/kernels/device.hpp>

#include <utility>

namespace starling::kernels::device {

/// Rows are padded by 16 bytes: neither rows nor, two rows apart, columns meet in a bank.
template <class C>
struct Tile {
  static constexpr int side = sizeof(C) == 4 ? 64 : 32;
  static constexpr int bundle = 16 / static_cast<int>(sizeof(C));
  static constexpr int stride = side + bundle;
  static constexpr int elements = side * stride;

  C* data;

  STARLING_DEVICE C* row(int r) const { return data + r * stride; }
  STARLING_DEVICE C& at(int r, int c) const { return data[r * stride + c]; }
};

/// Which sums are a thread's: in float those of a warp's 16 rows that tensor cores leave with it, in double 4 × 4. Of a product only what
/// lies before `end_row` and `end_column` is wanted.
template <class C>
struct TilePlace;

template <>
struct TilePlace<float> {
  static constexpr int rows = 2;
  static constexpr int columns = 16;
  static constexpr int neighbours = 2;  ///< columns
  static constexpr int threads = 128;
  int first;  ///< row of the warp
  int group;
  int member;  ///< of four that share rows
  int end_row;
  int end_column;

  /// Blocks begin at different rows: the long ones of triangles come to all schedulers of a multiprocessor.
  STARLING_DEVICE static TilePlace of(const Block& block) {
    const int number = (block.thread / warp + static_cast<int>(block.index % 4)) % 4;
    return {number * 16, block.lane() / 4, block.lane() % 4, Tile<float>::side, Tile<float>::side};
  }
  STARLING_DEVICE int row(int r) const { return first + group + r * 8; }
  STARLING_DEVICE int column(int n) const { return n / 2 * 8 + member * 2 + n % 2; }
};

template <>
struct TilePlace<double> {
  static constexpr int rows = 4;
  static constexpr int columns = 4;
  static constexpr int neighbours = 1;
  static constexpr int lanes = Tile<double>::side / columns;
  static constexpr int threads = Tile<double>::side / rows * lanes;
  int first;
  int lane;
  int end_row;
  int end_column;

  STARLING_DEVICE static TilePlace of(const Block& block) {
    return {block.thread / lanes * rows, block.thread % lanes, Tile<double>::side, Tile<double>::side};
  }
  STARLING_DEVICE int row(int r) const { return first + r; }
  STARLING_DEVICE int column(int n) const { return lane + n * lanes; }
};

template <class C>
inline constexpr int tile_threads = TilePlace<C>::threads;

template <class C>
STARLING_DEVICE TilePlace<C> within(TilePlace<C> me, Index rows, Index columns) {
  me.end_row = static_cast<int>(least(rows, Tile<C>::side));
  me.end_column = static_cast<int>(least(columns, Tile<C>::side));
  return me;
}

/// What a thread sums of a tile.
template <class C>
struct TileSums {
  C of[TilePlace<C>::rows][TilePlace<C>::columns];
};

/// Rows of an array, `stride` apart, of which `count` × `width` are left; `bundles`: they may be loaded as such.
template <class X>
struct TileRows {
  X* data;
  Index stride;
  Index count;
  Index width;
  bool bundles;
};

/// map(row, column, value) of an array's elements, zero behind them. A thread fills one bundle of every `step`th row.
template <class C, class X, class Map>
STARLING_DEVICE void fill(const Block& block, const TileRows<X>& from, Tile<C> tile, Map map) {
  using Of = Tile<C>;
  constexpr int per_row = Of::side / Of::bundle, step = tile_threads<C> / per_row, under_way = 4;
  static_assert(tile_threads<C> % per_row == 0 && Of::side % (step * under_way) == 0);
  const int column = block.thread % per_row * Of::bundle, begin = block.thread / per_row;
  const int count = static_cast<int>(least(from.count, Of::side));
  const int width = static_cast<int>(least(from.width - column, Of::bundle));  // of the bundle
  const bool whole = from.bundles && width == Of::bundle;
  const X* at = from.data + begin * from.stride + column;
  for (int first = begin; first < Of::side; first += step * under_way) {
    C values[under_way][Of::bundle] = {};
    for (int i = 0; i < under_way; ++i, at += step * from.stride) {
      if (first + i * step >= count) continue;
      if (whole) {
        load<Of::bundle>(at, values[i]);
      } else {
        for (int n = 0; n < Of::bundle; ++n)
          if (n < width) values[i][n] = C(at[n]);
      }
    }
    for (int i = 0; i < under_way; ++i) {
      const int row = first + i * step;
      for (int n = 0; n < Of::bundle; ++n) {
        const C mapped = map(row, column + n, values[i][n]);
        values[i][n] = row < count && n < width ? mapped : C(0);
      }
      store<Of::bundle>(tile.row(row) + column, values[i]);
    }
  }
}

/// Neighbouring sums of a thread, sums.of[r][n] and behind it, to the array.
template <class C, class X>
STARLING_DEVICE void write_neighbours(const TileRows<X>& to, const TilePlace<C>& me, const TileSums<C>& sums, int r, int n) {
  constexpr int neighbours = TilePlace<C>::neighbours;
  if (me.row(r) >= to.count) return;
  Bundle<X, neighbours> together;
  for (int i = 0; i < neighbours; ++i) together.values[i] = X(sums.of[r][n + i]);
  X* const at = to.data + me.row(r) * to.stride + me.column(n);
  if (to.bundles && me.column(n) + neighbours <= to.width) {
    *reinterpret_cast<Bundle<X, neighbours>*>(at) = together;
  } else {
    for (int i = 0; i < neighbours; ++i)
      if (me.column(n + i) < to.width) at[i] = together.values[i];
  }
}
/// What a thread has summed, to the array; no loop, so that the sums stay in registers.
template <class C, class X, int... i>
STARLING_DEVICE void write(const TileRows<X>& to, const TilePlace<C>& me, const TileSums<C>& sums, std::integer_sequence<int, i...>) {
  constexpr int per_row = TilePlace<C>::columns / TilePlace<C>::neighbours;
  (write_neighbours(to, me, sums, i / per_row, i % per_row * TilePlace<C>::neighbours), ...);
}
template <class C, class X>
STARLING_DEVICE void write(const TileRows<X>& to, const TilePlace<C>& me, const TileSums<C>& sums) {
  using Of = TilePlace<C>;
  write(to, me, sums, std::make_integer_sequence<int, Of::rows * Of::columns / Of::neighbours>{});
}

/// sums[row] *= factor[row].
template <class C>
STARLING_DEVICE void scale_rows(const C* factor, const TilePlace<C>& me, TileSums<C>& sums) {
  for (int r = 0; r < me.rows; ++r)
    for (int n = 0; n < me.columns; ++n) sums.of[r][n] *= factor[me.row(r)];
}

}  // namespace starling::kernels::device
