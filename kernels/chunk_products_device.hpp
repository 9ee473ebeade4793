// Products of tiles, added to the sums of a block's threads. In float by tensor cores: a number is its leading 11 bits and a rest of 13,
// and the products of the leading ones and of these with rests are summed, which leaves an error of 2⁻²¹ and makes an infinity a NaN; a
// tile that holds bfloat16 as they were loaded has no rests. In double by plain multiply-adds.
//
// Triangular products read nothing above the diagonal: a NaN of a later token stays there. Tensor cores multiply all pairs of a square, and
// zero times NaN is NaN; squares on the diagonal are therefore summed term by term.
#pragma once

#include <starling/kernels/chunk_tiles_device.hpp>
#include <starling/kernels/tensor_cores_device.hpp>

namespace starling::kernels::device {

/// sums += left right, of a warp's 16 rows and all columns; right_of(column, right) gives that of 8 columns. Those of 32 are under way
/// together.
template <Exact exact, class RightOf>
STARLING_DEVICE void multiply_row(const Block& block, float (&left)[4], RightOf right_of, const TilePlace<float>& me,
                                  TileSums<float>& sums) {
  constexpr bool of_left = left_has_rest(exact), of_right = right_has_rest(exact);
  constexpr int together = 4;
  float rest_of_left[4] = {};
  if constexpr (of_left) split(left, rest_of_left);
  for (int first = 0; first < me.columns; first += 2 * together) {
    if (first / 2 * 8 >= me.end_column) continue;
    float right[together][2], rest_of_right[together][2] = {}, c[together][4];
    for (int i = 0; i < together; ++i) {
      const int n = first + 2 * i;
      right_of(n / 2 * 8, right[i]);
      c[i][0] = sums.of[0][n], c[i][1] = sums.of[0][n + 1], c[i][2] = sums.of[1][n], c[i][3] = sums.of[1][n + 1];
    }
    for (int i = 0; i < together; ++i)
      if constexpr (of_right) split(right[i], rest_of_right[i]);
    for (int i = 0; i < together; ++i)
      if constexpr (of_left) multiply(block, rest_of_left, right[i], c[i]);
    for (int i = 0; i < together; ++i)
      if constexpr (of_right) multiply(block, left, rest_of_right[i], c[i]);
    for (int i = 0; i < together; ++i) multiply(block, left, right[i], c[i]);
    for (int i = 0; i < together; ++i) {
      const int n = first + 2 * i;
      sums.of[0][n] = c[i][0], sums.of[0][n + 1] = c[i][1], sums.of[1][n] = c[i][2], sums.of[1][n + 1] = c[i][3];
    }
  }
}

/// Fragments, with the inner index 2t for t and 2t + 1 for t + 4. Of left[row][m], of left[m][row], of right[m][column].
STARLING_DEVICE inline void left_rows(Tile<float> left, int m, const TilePlace<float>& me, float (&of)[4]) {
  float upper[2], lower[2];
  load<2>(left.row(me.row(0)) + m + me.member * 2, upper);
  load<2>(left.row(me.row(1)) + m + me.member * 2, lower);
  of[0] = upper[0], of[1] = lower[0], of[2] = upper[1], of[3] = lower[1];
}
STARLING_DEVICE inline void left_columns(Tile<float> left, int m, const TilePlace<float>& me, float (&of)[4]) {
  const float* const at = left.row(m + me.member * 2) + me.row(0);
  of[0] = at[0], of[1] = at[8], of[2] = at[left.stride], of[3] = at[left.stride + 8];
}
struct RightRows {
  const float* at;

  STARLING_DEVICE RightRows(Tile<float> right, int m, const TilePlace<float>& me) : at(right.row(m + me.member * 2) + me.group) {}
  STARLING_DEVICE void operator()(int column, float (&of)[2]) const { of[0] = at[column], of[1] = at[Tile<float>::stride + column]; }
};
struct RightColumns {
  const float* at;

  STARLING_DEVICE RightColumns(Tile<float> right, int m, const TilePlace<float>& me) : at(right.row(me.group) + m + me.member * 2) {}
  STARLING_DEVICE void operator()(int column, float (&of)[2]) const { load<2>(at + column * Tile<float>::stride, of); }
};

/// sums += Σ left[row][m] right[m][column], m < depth.
template <Exact exact>
STARLING_DEVICE void add_rows(const Block& block, Tile<float> left, Tile<float> right, int depth, const TilePlace<float>& me,
                              TileSums<float>& sums) {
  if (me.first >= me.end_row) return;
  for (int m = 0; m < depth; m += 8) {
    float of[4];
    left_rows(left, m, me, of);
    multiply_row<exact>(block, of, RightRows(right, m, me), me, sums);
  }
}
/// sums += Σ left[row][m] right[column][m], m < depth.
template <Exact exact>
STARLING_DEVICE void add_dots(const Block& block, Tile<float> left, Tile<float> right, int depth, const TilePlace<float>& me,
                              TileSums<float>& sums) {
  if (me.first >= me.end_row) return;
  for (int m = 0; m < depth; m += 8) {
    float of[4];
    left_rows(left, m, me, of);
    multiply_row<exact>(block, of, RightColumns(right, m, me), me, sums);
  }
}
/// sums += Σ left[m][row] right[m][column], m < depth.
template <Exact exact>
STARLING_DEVICE void add_outer(const Block& block, Tile<float> left, Tile<float> right, int depth, const TilePlace<float>& me,
                               TileSums<float>& sums) {
  if (me.first >= me.end_row) return;
  for (int m = 0; m < depth; m += 8) {
    float of[4];
    left_columns(left, m, me, of);
    multiply_row<exact>(block, of, RightRows(right, m, me), me, sums);
  }
}

/// sums[r] += Σ weight(m) right[m] over the tokens m < count of an 8 × 8 square on the diagonal, up to that of the row or from it on.
template <int r, bool from_row, class Weight>
STARLING_DEVICE void add_triangle(Weight weight, Tile<float> right, int count, const TilePlace<float>& me, TileSums<float>& sums) {
  for (int s = 0; s < 8; ++s) {
    const int m = me.first + r * 8 + s;
    if ((from_row ? s < me.group : s > me.group) || m >= count) continue;
    const float factor = weight(m);
    for (int n = 0; n < me.columns; n += 2) {
      if (n / 2 * 8 >= me.end_column) continue;
      float x[2];
      load<2>(right.row(m) + me.column(n), x);
      sums.of[r][n] += factor * x[0];
      sums.of[r][n + 1] += factor * x[1];
    }
  }
}

/// sums += Σ_{m ≤ row} weights[row][m] right[m][column].
template <Exact exact>
STARLING_DEVICE void add_earlier(const Block& block, Tile<float> weights, Tile<float> right, const TilePlace<float>& me,
                                 TileSums<float>& sums) {
  if (me.first >= me.end_row) return;
  add_rows<exact>(block, weights, right, me.first, me, sums);
  // Of the square on the diagonal the quarter below it: what comes of the upper rows is dropped.
  float of[4];
  left_rows(weights, me.first, me, of);
  of[0] = of[2] = 0.0f;
  TileSums<float> lower = sums;
  multiply_row<exact>(block, of, RightRows(right, me.first, me), me, lower);
  for (int n = 0; n < me.columns; ++n) sums.of[1][n] = lower.of[1][n];
  add_triangle<0, false>([&](int m) { return weights.at(me.row(0), m); }, right, right.side, me, sums);
  add_triangle<1, false>([&](int m) { return weights.at(me.row(1), m); }, right, right.side, me, sums);
}

/// sums += Σ_{row ≤ m < count} weights[m][row] right[m][column].
template <Exact exact>
STARLING_DEVICE void add_later(const Block& block, Tile<float> weights, Tile<float> right, int count, const TilePlace<float>& me,
                               TileSums<float>& sums) {
  if (me.first >= me.end_row) return;
  const auto weights_of = [&](int m, float(&of)[4]) {
    left_columns(weights, m, me, of);
    // Weights of no token are anything.
    if (m + me.member * 2 >= count) of[0] = of[1] = 0.0f;
    if (m + me.member * 2 + 1 >= count) of[2] = of[3] = 0.0f;
  };
  for (int m = me.first + 16; m < count; m += 8) {
    float of[4];
    weights_of(m, of);
    multiply_row<exact>(block, of, RightRows(right, m, me), me, sums);
  }
  float of[4];
  weights_of(me.first + 8, of);
  of[1] = of[3] = 0.0f;
  TileSums<float> upper = sums;
  multiply_row<exact>(block, of, RightRows(right, me.first + 8, me), me, upper);
  for (int n = 0; n < me.columns; ++n) sums.of[0][n] = upper.of[0][n];
  add_triangle<0, true>([&](int m) { return weights.at(m, me.row(0)); }, right, count, me, sums);
  add_triangle<1, true>([&](int m) { return weights.at(m, me.row(1)); }, right, count, me, sums);
}

// The same in double.

template <Exact>
STARLING_DEVICE void add_rows(const Block&, Tile<double> left, Tile<double> right, int depth, const TilePlace<double>& me,
                              TileSums<double>& sums) {
  for (int m = 0; m < depth; ++m)
    for (int n = 0; n < me.columns; ++n) {
      const double x = right.at(m, me.column(n));
      for (int r = 0; r < me.rows; ++r) sums.of[r][n] += left.at(me.row(r), m) * x;
    }
}
template <Exact>
STARLING_DEVICE void add_dots(const Block&, Tile<double> left, Tile<double> right, int depth, const TilePlace<double>& me,
                              TileSums<double>& sums) {
  for (int m = 0; m < depth; ++m)
    for (int n = 0; n < me.columns; ++n) {
      const double x = right.at(me.column(n), m);
      for (int r = 0; r < me.rows; ++r) sums.of[r][n] += left.at(me.row(r), m) * x;
    }
}
template <Exact>
STARLING_DEVICE void add_outer(const Block&, Tile<double> left, Tile<double> right, int depth, const TilePlace<double>& me,
                               TileSums<double>& sums) {
  for (int m = 0; m < depth; ++m)
    for (int n = 0; n < me.columns; ++n) {
      const double x = right.at(m, me.column(n));
      for (int r = 0; r < me.rows; ++r) sums.of[r][n] += left.at(m, me.row(r)) * x;
    }
}
template <Exact>
STARLING_DEVICE void add_earlier(const Block&, Tile<double> weights, Tile<double> right, const TilePlace<double>& me,
                                 TileSums<double>& sums) {
  for (int m = 0; m < me.first + me.rows; ++m)
    for (int n = 0; n < me.columns; ++n) {
      const double x = right.at(m, me.column(n));
      for (int r = 0; r < me.rows; ++r)
        if (m <= me.row(r)) sums.of[r][n] += weights.at(me.row(r), m) * x;
    }
}
template <Exact>
STARLING_DEVICE void add_later(const Block&, Tile<double> weights, Tile<double> right, int count, const TilePlace<double>& me,
                               TileSums<double>& sums) {
  for (int m = me.first; m < count; ++m)
    for (int n = 0; n < me.columns; ++n) {
      const double x = right.at(m, me.column(n));
      for (int r = 0; r < me.rows; ++r)
        if (m >= me.row(r)) sums.of[r][n] += weights.at(m, me.row(r)) * x;
    }
}

/// Sums over tokens that are carried, in either type: from the first token on sums ← sums ⊙ decay[m] + weights[row][m] right[m], m ≤ row.
template <class C>
STARLING_DEVICE void carry_earlier(Tile<C> weights, Tile<C> right, Tile<C> decay, const TilePlace<C>& me, TileSums<C>& sums) {
  for (int m = 0; m <= me.row(me.rows - 1); ++m)
    for (int r = 0; r < me.rows; ++r) {
      if (m > me.row(r)) continue;
      const C weight = weights.at(me.row(r), m);
      for (int n = 0; n < me.columns; ++n) sums.of[r][n] = sums.of[r][n] * decay.at(m, me.column(n)) + weight * right.at(m, me.column(n));
    }
}
/// From the last token on sums ← sums + weights[m][row] right[m], m ≥ row, then, behind the row's token, sums ⊙ decay[m].
template <class C>
STARLING_DEVICE void carry_later(Tile<C> weights, Tile<C> right, Tile<C> decay, int count, const TilePlace<C>& me, TileSums<C>& sums) {
  for (int m = count - 1; m >= me.row(0); --m)
    for (int r = 0; r < me.rows; ++r) {
      if (m < me.row(r)) continue;
      const C weight = weights.at(m, me.row(r));
      for (int n = 0; n < me.columns; ++n) {
        sums.of[r][n] += weight * right.at(m, me.column(n));
        if (m > me.row(r)) sums.of[r][n] *= decay.at(m, me.column(n));
      }
    }
}

}  // namespace starling::kernels::device
