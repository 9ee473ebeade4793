// Long convolution on a device: the lower triangular Toeplitz product of long_convolution.hpp, entry by entry. A block makes 128 outputs
// of 32 neighbouring channels, 16 outputs a thread, in registers; it goes through the inputs before them in tiles of 128, which lie in
// shared memory together with the 256 lags that they meet. Of these half are those of the tile before. Sixteen inputs meet sixteen
// outputs with 31 lags of which 15 are at hand: 256 multiply-adds for 32 loads from shared memory. Sums are in Compute<T>. The heaviest
// blocks start first. dx and dkernel are the same product, read and written backwards in time; dkernel sums over groups of sequences in
// a second launch. What lies above the diagonal is left out, not multiplied by zero: no NaN goes back in time.
//
// T 4096, 768 channels, per sequence and product (a training step has three): T (T + 1) · 768 = 12.9 GFLOP (13.3 in this form: tiles on
// the diagonal take as long as others), 0.25 ms at 50 of the 67 TFLOP/s of an H100. Floor, bytes: x and y 12.6 MB in bfloat16, the
// kernel 12.6 MB once for all sequences; this form reads 104 MB of inputs and 208 MB of lags, nearly all from the L2 cache. Transforms of
// 2 T numbers would take 0.4 GFLOP and, in four passes over memory, some 0.03 ms: they win from about T = 512 on, where both take
// 4 µs, and 8 times at T = 4096.
#pragma once

#include <starling/kernels/device.hpp>
#include <starling/kernels/long_convolution.hpp>

namespace starling::kernels::device {

inline constexpr int long_square = 16;                      // outputs of a thread, inputs that meet them at once
inline constexpr int long_warps = 8;                        // of a block; lanes are channels
inline constexpr int long_tile = long_square * long_warps;  // outputs of a block, inputs of a step
inline constexpr int long_lags = 2 * long_tile;             // in shared memory: lag l at l mod long_lags

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

/// sums[i] += lag(i − j) · inputs[j] from input j on; `inputs` are `warp` apart. Lags are counted from that of equal places: high[i − j]
/// are those ≥ 0, low[16 + i − j] the others. By recursion: registers cannot be indexed by a loop that stays one.
template <int j = 0, class C>
STARLING_DEVICE void add_square(const C* inputs, const C (&high)[long_square], const C (&low)[long_square], C (&sums)[long_square]) {
  if constexpr (j < long_square) {
    const C input = inputs[j * warp];
    for (int i = 0; i < j; ++i) sums[i] += low[long_square + i - j] * input;
    for (int i = j; i < long_square; ++i) sums[i] += high[i - j] * input;
    add_square<j + 1>(inputs, high, low, sums);
  }
}
/// The same on the diagonal: no input meets an output before it.
template <int j = 0, class C>
STARLING_DEVICE void add_triangle(const C* inputs, const C (&high)[long_square], C (&sums)[long_square]) {
  if constexpr (j < long_square) {
    const C input = inputs[j * warp];
    for (int i = j; i < long_square; ++i) sums[i] += high[i - j] * input;
    add_triangle<j + 1>(inputs, high, sums);
  }
}

/// out[g, p] = Σ_sequences of group g Σ_{q ≤ p} lags[p − q] · inputs[q] for p from `first` on: sequences apart (`per_group` = 1), or
/// summed in groups, out's sequences being groups.
template <class Lag, class T, class Out>
struct ToeplitzProduct {
  using C = Compute<T>;
  LongArray<const Lag> lags;  ///< batch 0: the same for all sequences
  LongArray<const T> inputs;
  LongArray<Out> out;
  Index batch;
  Index per_group;
  Index length;
  Index first;
  Index channels;

  static constexpr int threads = long_warps * warp;
  Index tiles() const { return quotient_up(length, long_tile) - first / long_tile; }
  Index blocks() const { return length > first ? tiles() * quotient_up(batch, per_group) * quotient_up(channels, warp) : 0; }
  static constexpr std::size_t shared_bytes() { return (long_tile + long_lags) * warp * sizeof(C); }

  /// A thread's tokens of a tile that begins at `first`, one of each `long_warps`, to `tile`; zero past the last token.
  template <class From>
  STARLING_DEVICE void fetch(const Block& block, const LongArray<From>& from, Index sequence, Index first_token, Index channel,
                             C* tile) const {
    const int line = block.thread / warp;
    const From* const mine = from.at(sequence, first_token + line, channel);
    const Index tokens = channel < channels ? length - first_token - line : 0;
    C values[long_square];
    for (int i = 0; i < long_square; ++i) values[i] = i * long_warps < tokens ? C(mine[i * long_warps * from.stride]) : C(0);
    for (int i = 0; i < long_square; ++i) tile[(line + i * long_warps) * warp] = values[i];
  }

  STARLING_DEVICE void operator()(Block& block) const {
    C* const tile_inputs = reinterpret_cast<C*>(block.shared) + block.lane();
    C* const tile_lags = tile_inputs + long_tile * warp;
    const int index = static_cast<int>(block.index), strips = static_cast<int>(quotient_up(channels, warp));
    const int groups = static_cast<int>(quotient_up(batch, per_group));
    const int strip = index % strips, group = index / strips % groups;
    const Index row = quotient_up(length, long_tile) - 1 - index / strips / groups;
    const Index channel = strip * warp + block.lane();
    const int mine = block.thread / warp * long_square;  // my first output in the tile
    const bool there = channel < channels && row * long_tile + mine < length;
    C sums[long_square] = {};
    for (Index sequence = group * per_group; sequence < least((group + 1) * per_group, batch); ++sequence) {
      fetch(block, lags, sequence, row * long_tile, channel, tile_lags + row % 2 * long_tile * warp);
      for (Index column = 0; column <= row; ++column) {
        const Index distance = row - column;  // in tiles
        fetch(block, inputs, sequence, column * long_tile, channel, tile_inputs);
        if (distance > 0)
          fetch(block, lags, sequence, (distance - 1) * long_tile, channel, tile_lags + (distance - 1) % 2 * long_tile * warp);
        block.wait();
        if (there) add_tile(tile_inputs, tile_lags, distance, mine, sums);
        block.wait();
      }
    }
    if (!there) return;
    for (int i = 0; i < long_square; ++i) {
      const Index place = row * long_tile + mine + i;
      if (place >= first && place < length) *out.at(group, place - first, channel) = Out(sums[i]);
    }
  }

 private:
  STARLING_DEVICE static void load_lags(const C* tile_lags, Index lag, C (&to)[long_square]) {
    const C* const from = tile_lags + (lag & (long_lags - 1)) * warp;
    for (int i = 0; i < long_square; ++i) to[i] = from[i * warp];
  }

  STARLING_DEVICE static void add_tile(const C* inputs, const C* tile_lags, Index distance, int mine, C (&sums)[long_square]) {
    const Index lag = distance * long_tile + mine;  // of my first output to the tile's first input
    const int squares = distance > 0 ? long_warps : mine / long_square;
    C even[long_square], odd[long_square];
    load_lags(tile_lags, lag, even);
    int j = 0;
    for (; j + 1 < squares; j += 2) {
      load_lags(tile_lags, lag - (j + 1) * long_square, odd);
      add_square(inputs + j * long_square * warp, even, odd, sums);
      load_lags(tile_lags, lag - (j + 2) * long_square, even);
      add_square(inputs + (j + 1) * long_square * warp, odd, even, sums);
    }
    if (distance > 0) return;
    if (j < squares) {
      load_lags(tile_lags, lag - (j + 1) * long_square, odd);
      add_square(inputs + j * long_square * warp, even, odd, sums);
      add_triangle(inputs + squares * long_square * warp, odd, sums);
    } else {
      add_triangle(inputs + squares * long_square * warp, even, sums);
    }
  }
};

/// dkernel[p] = Σ_groups partials[group, p, channel].
template <class C>
struct SumLags {
  const C* partials;
  LongArray<C> to;
  Index groups;
  Index length;
  Index channels;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(length * channels, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index item = block.item();
    if (item >= length * channels) return;
    C sum = C(0);
    for (Index group = 0; group < groups; ++group) sum += partials[group * length * channels + item];
    *to.at(0, item / channels, item % channels) = sum;
  }
};

/// Few outputs, a block for one of 32 channels: sixteen warps share the tokens, each reads its own once.
template <class T>
struct LongOutputs {
  using C = Compute<T>;
  LongConvolutionForward<T> a;

  static constexpr int most = 8;
  static constexpr int lines = 16;
  static constexpr int under_way = 4;
  static constexpr int threads = lines * warp;
  Index blocks() const { return a.batch * a.outputs * quotient_up(a.channels, warp); }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(C); }

  STARLING_DEVICE void operator()(Block& block) const {
    C* const sums = reinterpret_cast<C*>(block.shared);
    const int index = static_cast<int>(block.index), strips = static_cast<int>(quotient_up(a.channels, warp));
    const int outputs = static_cast<int>(a.outputs);
    const Index channel = index % strips * warp + block.lane();
    const Index output = index / strips % outputs, sequence = index / strips / outputs;
    const Index last = a.length - a.outputs + output;
    C sum = C(0);
    if (channel < a.channels)
      for (Index first = block.thread / warp; first <= last; first += under_way * lines) {
        C x[under_way] = {}, lag[under_way] = {};
        for (int k = 0; k < under_way; ++k) {
          const Index token = first + k * lines;
          if (token > last) continue;
          x[k] = C(a.x[sequence * a.x_batch + token * a.x_stride + channel]);
          lag[k] = a.kernel[(last - token) * a.kernel_stride + channel];
        }
        for (int k = 0; k < under_way; ++k) sum += lag[k] * x[k];
      }
    sums[block.thread] = sum;
    block.wait();
    if (block.thread >= warp || channel >= a.channels) return;
    for (int line = 1; line < lines; ++line) sum += sums[line * warp + block.thread];
    a.y[sequence * a.y_batch + output * a.y_stride + channel] = T(sum);
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const LongConvolutionForward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  if (a.outputs <= device::LongOutputs<T>::most) return launcher.launch(device::LongOutputs<T>{a});
  launcher.launch(device::ToeplitzProduct<C, T, T>{{a.kernel, a.kernel_stride, 0},
                                                   {a.x, a.x_stride, a.x_batch},
                                                   {a.y, a.y_stride, a.y_batch},
                                                   a.batch,
                                                   1,
                                                   a.length,
                                                   a.length - a.outputs,
                                                   a.channels});
}

template <class T, class Launcher>
void launch_all(const LongConvolutionBackward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  using device::Index, device::LongArray, device::quotient_up;
  if (a.length == 0) return;
  const LongArray<const T> x{a.x, a.x_stride, a.x_batch};
  const LongArray<const C> lags{a.kernel, a.kernel_stride, 0};
  const auto dy = backwards(LongArray<const T>{a.dy, a.dy_stride, a.dy_batch}, a.length);
  const auto dx = backwards(LongArray<T>{a.dx, a.dx_stride, a.dx_batch}, a.length);
  const auto dkernel = backwards(LongArray<C>{a.dkernel, a.dkernel_stride, 0}, a.length);
  launcher.launch(device::ToeplitzProduct<C, T, T>{lags, dy, dx, a.batch, 1, a.length, 0, a.channels});
  // Where tiles of lags alone do not keep a device busy, sequences are shared out.
  constexpr Index blocks_wanted = 768;
  const Index blocks = quotient_up(a.length, device::long_tile) * quotient_up(a.channels, device::warp);
  const Index groups_wanted = device::least(a.batch, quotient_up(blocks_wanted, blocks > 0 ? blocks : 1));
  const Index per_group = groups_wanted > 0 ? quotient_up(a.batch, groups_wanted) : 1;
  const Index groups = quotient_up(a.batch, per_group), elements = a.length * a.channels;
  if (groups == 1) return launcher.launch(device::ToeplitzProduct<T, T, C>{x, dy, dkernel, a.batch, per_group, a.length, 0, a.channels});
  const LongArray<C> partials{launcher.template scratch<C>(groups * elements), a.channels, elements};
  launcher.launch(device::ToeplitzProduct<T, T, C>{x, dy, partials, a.batch, per_group, a.length, 0, a.channels});
  launcher.launch(device::SumLags<C>{partials.data, dkernel, groups, a.length, a.channels});
}

}  // namespace starling::kernels
