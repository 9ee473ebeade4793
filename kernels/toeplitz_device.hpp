// Products of a lower triangular Toeplitz matrix and a sequence, per channel: operands, and the product entry by entry, for double (floats
// go through tensor cores, toeplitz_cores_device.hpp). A block makes 128 outputs of 32 neighbouring channels, 16 outputs a thread, in
// registers; it goes through the inputs before them in tiles of 128, which lie in shared memory together with the 256 lags that they
// meet. Of these half are those of the tile before. Sixteen inputs meet sixteen outputs with 31 lags of which 15 are at hand: 256
// multiply-adds for 32 loads from shared memory. The heaviest blocks start first.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

/// An array (sequences, tokens, channels), tokens `stride` and sequences `batch` apart.
template <class T>
struct LongArray {
  T* data;
  Index stride;
  Index batch;

  STARLING_DEVICE T* at(Index sequence, Index token, Index channel) const { return data + sequence * batch + token * stride + channel; }
};
/// The same from its last token on.
template <class T>
LongArray<T> backwards(const LongArray<T>& array, Index length) {
  return {array.data + (length - 1) * array.stride, -array.stride, array.batch};
}

/// out[g, p − first] = Σ_sequences of group g Σ_{q ≤ p} lags[p − q] · inputs[q] for p from `first` on: sequences apart (per_group = 1),
/// or summed in groups, out's sequences being groups.
template <class Lag, class T, class Out>
struct Toeplitz {
  LongArray<const Lag> lags;  ///< batch 0: the same for all sequences
  LongArray<const T> inputs;
  LongArray<Out> out;
  Index batch;
  Index per_group;
  Index length;
  Index first;
  Index channels;

  /// Of `tile` outputs of `strip` channels of a group.
  Index blocks(Index tile, Index strip) const {
    const Index rows = length > first ? quotient_up(length, tile) - first / tile : 0;
    return rows * quotient_up(batch, per_group) * quotient_up(channels, strip);
  }
};

/// Which of them a block makes, those of the last tokens first.
struct ToeplitzPlace {
  Index first_channel;
  Index group;
  Index row;  ///< in tiles

  template <class Arguments>
  STARLING_DEVICE static ToeplitzPlace of(const Block& block, const Arguments& a, int tile, int strip) {
    const int index = static_cast<int>(block.index), strips = static_cast<int>(quotient_up(a.channels, strip));
    const int groups = static_cast<int>(quotient_up(a.batch, a.per_group));
    return {index % strips * strip, index / strips % groups, quotient_up(a.length, tile) - 1 - index / strips / groups};
  }
};

inline constexpr int toeplitz_square = 16;  // outputs of a thread, inputs that meet them at once

/// sums[i] += lag(i − j) · inputs[j] from input j on; `inputs` are `warp` apart. Lags are counted from that of equal places: high[i − j]
/// are those ≥ 0, low[16 + i − j] the others. By recursion: registers cannot be indexed by a loop that stays one.
template <int j = 0, class C>
STARLING_DEVICE void add_square(const C* inputs, const C (&high)[toeplitz_square], const C (&low)[toeplitz_square],
                                C (&sums)[toeplitz_square]) {
  if constexpr (j < toeplitz_square) {
    const C input = inputs[j * warp];
    for (int i = 0; i < j; ++i) sums[i] += low[toeplitz_square + i - j] * input;
    for (int i = j; i < toeplitz_square; ++i) sums[i] += high[i - j] * input;
    add_square<j + 1>(inputs, high, low, sums);
  }
}
/// The same on the diagonal: no input meets an output before it.
template <int j = 0, class C>
STARLING_DEVICE void add_triangle(const C* inputs, const C (&high)[toeplitz_square], C (&sums)[toeplitz_square]) {
  if constexpr (j < toeplitz_square) {
    const C input = inputs[j * warp];
    for (int i = j; i < toeplitz_square; ++i) sums[i] += high[i - j] * input;
    add_triangle<j + 1>(inputs, high, sums);
  }
}

template <class C>
struct ToeplitzDirectly {
  static constexpr int square = toeplitz_square;
  static constexpr int warps = 8;
  static constexpr int tile = square * warps;  // outputs of a block, inputs of a step
  static constexpr int ring = 2 * tile;        // lags in shared memory, lag l at l mod ring
  Toeplitz<C, C, C> a;

  static constexpr int threads = warps * warp;
  Index blocks() const { return a.blocks(tile, warp); }
  static constexpr std::size_t shared_bytes() { return (tile + ring) * warp * sizeof(C); }

  /// A thread's tokens of a tile that begins at `first`, one of each `warps`; zero past the last token.
  STARLING_DEVICE void fetch(const Block& block, const LongArray<const C>& from, Index sequence, Index first, Index channel, C* to) const {
    const int line = block.thread / warp;
    const C* const mine = from.at(sequence, first + line, channel);
    const Index tokens = channel < a.channels ? a.length - first - line : 0;
    C values[square];
    for (int i = 0; i < square; ++i) values[i] = i * warps < tokens ? mine[i * warps * from.stride] : C(0);
    for (int i = 0; i < square; ++i) to[(line + i * warps) * warp] = values[i];
  }

  STARLING_DEVICE void operator()(Block& block) const {
    C* const inputs = reinterpret_cast<C*>(block.shared) + block.lane();
    C* const lags = inputs + tile * warp;
    const auto [first_channel, group, row] = ToeplitzPlace::of(block, a, tile, warp);
    const Index channel = first_channel + block.lane();
    const int mine = block.thread / warp * square;  // my first output in the tile
    const bool there = channel < a.channels && row * tile + mine < a.length;
    C sums[square] = {};
    for (Index sequence = group * a.per_group; sequence < least((group + 1) * a.per_group, a.batch); ++sequence) {
      fetch(block, a.lags, sequence, row * tile, channel, lags + row % 2 * tile * warp);
      for (Index distance = row; distance >= 0; --distance) {  // in tiles
        fetch(block, a.inputs, sequence, (row - distance) * tile, channel, inputs);
        if (distance > 0) fetch(block, a.lags, sequence, (distance - 1) * tile, channel, lags + (distance - 1) % 2 * tile * warp);
        block.wait();
        if (there) add_tile(inputs, lags, distance, mine, sums);
        block.wait();
      }
    }
    if (!there) return;
    for (int i = 0; i < square; ++i) {
      const Index place = row * tile + mine + i;
      if (place >= a.first && place < a.length) *a.out.at(group, place - a.first, channel) = sums[i];
    }
  }

 private:
  STARLING_DEVICE static void load_lags(const C* lags, Index lag, C (&to)[square]) {
    const C* const from = lags + (lag & (ring - 1)) * warp;
    for (int i = 0; i < square; ++i) to[i] = from[i * warp];
  }

  STARLING_DEVICE static void add_tile(const C* inputs, const C* lags, Index distance, int mine, C (&sums)[square]) {
    const Index lag = distance * tile + mine;  // of my first output to the tile's first input
    const int squares = distance > 0 ? warps : mine / square;
    C even[square], odd[square];
    load_lags(lags, lag, even);
    int j = 0;
    for (; j + 1 < squares; j += 2) {
      load_lags(lags, lag - (j + 1) * square, odd);
      add_square(inputs + j * square * warp, even, odd, sums);
      load_lags(lags, lag - (j + 2) * square, even);
      add_square(inputs + (j + 1) * square * warp, odd, even, sums);
    }
    if (distance > 0) return;
    if (j < squares) {
      load_lags(lags, lag - (j + 1) * square, odd);
      add_square(inputs + j * square * warp, even, odd, sums);
      add_triangle(inputs + squares * square * warp, odd, sums);
    } else {
      add_triangle(inputs + squares * square * warp, even, sums);
    }
  }
};

}  // namespace starling::kernels::device
