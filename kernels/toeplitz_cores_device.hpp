// The same product by tensor cores, for floats as two numbers of 11 bits each (bfloat16: one). Outputs 32 apart are the columns of a matrix
// product whose left factor is Toeplitz and depends on neither:
//   out[t + 32 n + m] = Σ_v lags[m − v] · inputs[t + 32 n + v], m < 32, n < 8,
// so that one channel of one sequence fills tensor cores. A warp makes 256 outputs of a channel, a block of 16 channels; inputs lie in
// shared memory as rows of 32, two tiles of 8 rows, lags as those of a step of 256. Eight inputs v meet the outputs in products of 16 × 8
// by 8 × 8; from one such step to the next six of eight lags stay in a lane's registers: four loads from shared memory for two products
// of (up to) three parts. Squares on the diagonal are summed entry by entry: zero times a NaN to come would be NaN.
#pragma once

#include <starling/kernels/tensor_cores_device.hpp>
#include <starling/kernels/toeplitz_device.hpp>

#include <type_traits>

namespace starling::kernels::device {

template <class Lag, class T, class Out>
struct ToeplitzOnCores {
  static constexpr int strip = 16;  // channels of a block, a warp each
  static constexpr int row = 32, rows = 8, tile = row * rows;
  static constexpr int stride = row + 4;    // of rows in shared memory: what a warp loads lies in different banks
  static constexpr int window = tile + 32;  // lags of a step
  static constexpr int inputs = 2 * rows * stride;
  static constexpr int per_channel = inputs + window + 2;  // what a warp fetches comes to different banks
  static constexpr Exact rests = exact(std::is_same_v<Lag, bfloat16>, std::is_same_v<T, bfloat16>);
  static constexpr int ring = 8;
  Toeplitz<Lag, T, Out> a;

  static constexpr int threads = strip * warp;
  Index blocks() const { return a.blocks(tile, strip); }
  static constexpr std::size_t shared_bytes() { return strip * per_channel * sizeof(float); }

  /// What a thread fetches and writes: a channel of every 32nd token.
  struct Mover {
    Index channel;
    int column;
    float* shared;
    bool there;
  };

  /// Of a tile of inputs, which may lie before the first.
  STARLING_DEVICE void fetch_inputs(const Mover& me, Index sequence, Index number) const {
    const Index first = number * tile + me.column, tokens = me.there && number >= 0 ? a.length - first : 0;
    const T* const from = a.inputs.at(sequence, first, me.channel);
    float values[rows];
    for (int i = 0; i < rows; ++i) values[i] = i * row < tokens ? float(from[i * row * a.inputs.stride]) : 0.0f;
    for (int i = 0; i < rows; ++i) me.shared[(static_cast<int>(number & 1) * rows + i) * stride + me.column] = values[i];
  }
  /// Those from 256 · number on.
  STARLING_DEVICE void fetch_lags(const Mover& me, Index sequence, Index number) const {
    const Index first = number * tile + me.column, tokens = me.there ? a.length - first : 0;
    const Lag* const from = a.lags.at(sequence, first, me.channel);
    float values[window / row];
    for (int i = 0; i < window / row; ++i) values[i] = i * row < tokens ? float(from[i * row * a.lags.stride]) : 0.0f;
    for (int i = 0; i < window / row; ++i) me.shared[inputs + i * row + me.column] = values[i];
  }

  STARLING_DEVICE void operator()(Block& block) const {
    float* const shared = reinterpret_cast<float*>(block.shared);
    const auto [first_channel, group, number] = ToeplitzPlace::of(block, a, tile, strip);
    const int fetched = block.thread % strip, carried = block.thread / warp;
    const Mover mover{first_channel + fetched, block.thread / strip, shared + fetched * per_channel, first_channel + fetched < a.channels};
    float* const mine = shared + carried * per_channel;
    const bool there = first_channel + carried < a.channels;
    float sums[2][4] = {};
    for (Index sequence = group * a.per_group; sequence < least((group + 1) * a.per_group, a.batch); ++sequence) {
      fetch_inputs(mover, sequence, number);
      for (Index step = 0; step <= number; ++step) {
        fetch_inputs(mover, sequence, number - step - 1);
        fetch_lags(mover, sequence, step);
        block.wait();
        const int first_row = static_cast<int>((number - step) & 1) * rows;
        if (there && step == 0) add_diagonal(block, mine + first_row * stride, mine + inputs, sums);
        // The last step ends with the first token: of its rows those before an output's own.
        const int reach = static_cast<int>(step < number ? rows : least(rows - 1, (a.length - 1 - number * tile) / row));
        if (there) add_step(block, mine, first_row, reach, mine + inputs, sums);
        block.wait();
      }
    }
    const int place = block.lane() / 4, column = block.lane() % 4 * 2;
    if (there)
      for (int i = 0; i < 8; ++i) mine[(column + i % 2) * stride + i / 2 * 8 + place] = sums[i / 4][i % 4];
    block.wait();
    for (int i = 0; i < rows; ++i) {
      const Index token = number * tile + i * row + mover.column;
      if (mover.there && token >= a.first && token < a.length)
        *a.out.at(group, token - a.first, mover.channel) = Out(mover.shared[i * stride + mover.column]);
    }
  }

 private:
  /// Inputs of the tile itself: v ≥ 0.
  STARLING_DEVICE static void add_diagonal(const Block& block, const float* tile_inputs, const float* lags, float (&sums)[2][4]) {
    const int place = block.lane() / 4, member = block.lane() % 4;
    for (int v = 0; v < 16; v += 8) {
      const float* const from = lags + 16 + place - v - member;
      float left[4] = {from[0], from[8], from[-4], from[4]}, rest_of_left[4] = {};
      float right[2] = {tile_inputs[place * stride + v + member], tile_inputs[place * stride + v + member + 4]}, rest_of_right[2] = {};
      if constexpr (left_has_rest(rests)) split(left, rest_of_left);
      if constexpr (right_has_rest(rests)) split(right, rest_of_right);
      multiply<rests>(block, left, rest_of_left, right, rest_of_right, sums[1]);
    }
    for (int half = 0; half < 2; ++half)
      for (int v = 0; v < 16; ++v) {
        const float* const from = tile_inputs + 2 * member * stride + half * 16 + v;
        for (int i = 0; i < 4; ++i) {
          const int m = place + i / 2 * 8;
          if (v <= m) sums[half][i] += lags[m - v] * from[i % 2 * stride];
        }
      }
  }

  /// The lags of a lane in a ring, the eight of a step being place − member + 8 (j − 1) + 4, + 8, …, + 32.
  struct Lags {
    const float* next;
    float leading[ring];
    float rest[ring];

    STARLING_DEVICE void take(int at) {
      const float lag = *next;
      leading[at] = left_has_rest(rests) ? leading_bits(lag) : lag;
      rest[at] = left_has_rest(rests) ? leading_bits(lag - leading[at]) : 0.0f;
      next += 4;
    }
  };

  /// 256 inputs of each output: v = −8 j + {0, …, 7}, j = 1, …, 32. The tile's inputs are rows first_row + n of the ring of rows.
  STARLING_DEVICE static void add_step(const Block& block, const float* tile_inputs, int first_row, int reach, const float* lags,
                                       float (&sums)[2][4]) {
    const int place = block.lane() / 4, member = block.lane() % 4;
    Lags mine{lags + place - member + 4, {}, {}};
    for (int i = 0; i < ring - 2; ++i) mine.take(i);
    for (int back = 1; back <= reach; ++back) {
      const float* const inputs_of_row = tile_inputs + ((first_row + place - back) & (2 * rows - 1)) * stride + member;
      add_eight<0>(block, inputs_of_row, mine, sums);
    }
  }
  /// Of a row of inputs the eights 3, 2, 1, 0, which stand in the ring of lags two places apart.
  template <int i>
  STARLING_DEVICE static void add_eight(const Block& block, const float* from, Lags& lags, float (&sums)[2][4]) {
    if constexpr (i < 4) {
      lags.take((6 + 2 * i) % ring);
      lags.take((7 + 2 * i) % ring);
      constexpr int column = row - 8 * (i + 1);
      float right[2] = {from[column], from[column + 4]}, rest_of_right[2] = {};
      if constexpr (right_has_rest(rests)) split(right, rest_of_right);
      for (int half = 0; half < 2; ++half) {
        const int at[4] = {(1 + 4 * half + 2 * i) % ring, (3 + 4 * half + 2 * i) % ring, (4 * half + 2 * i) % ring,
                           (2 + 4 * half + 2 * i) % ring};
        const float left[4] = {lags.leading[at[0]], lags.leading[at[1]], lags.leading[at[2]], lags.leading[at[3]]};
        const float rest[4] = {lags.rest[at[0]], lags.rest[at[1]], lags.rest[at[2]], lags.rest[at[3]]};
        multiply<rests>(block, left, rest, right, rest_of_right, sums[half]);
      }
      add_eight<i + 1>(block, from, lags, sums);
    }
  }
};

}  // namespace starling::kernels::device
