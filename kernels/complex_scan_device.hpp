// The complex scan on a device. A block carries 32 neighbouring channels, its lanes, of one segment of one sequence; its warps share the
// pairs, whose decays, weights and states stay in registers. Inputs lie in shared memory, a tile of 16 tokens at a time (the next under way
// meanwhile), and so do the warps' parts of the outputs, which are summed in order. Where blocks alone do not keep a device busy, sequences
// are cut: what a segment makes of the state before it (reduce), states between segments (carry), outputs (apply); products of decays are
// carried as they are, never as logarithms. Backwards, states come from checkpoints: once forwards through a chunk, leaving those before
// pieces of 16 (8) tokens in shared memory, then piece by piece back with a piece's states in registers. Gradients of parameters stay in
// registers along a segment and are summed over segments and sequences in a second launch.
//
// Multiply-adds per pair and token: forward 6 (with leak 8), cut 10 (18); backward 20 (30), cut 26 (42). Floor, bytes per channel and
// token at 32 pairs (bfloat16): forward 4 + 4 (checkpoints), backward 6 + 4. 8 × 4096 tokens of 768 channels: 10 and 32 GFLOP, 0.2 and
// 0.6 ms at 50 of the 67 TFLOP/s of an H100, the bytes a third of that or less: arithmetic is what it costs. At most 32 pairs.
#pragma once

#include <starling/kernels/complex_scan.hpp>
#include <starling/kernels/device_complex.hpp>
#include <starling/kernels/device_segments.hpp>
#include <starling/kernels/device_sums.hpp>

#include <stdexcept>
#include <string>

namespace starling::kernels::device {

inline constexpr Index complex_pairs = 32;
inline constexpr int complex_tile = 16;  // tokens

/// 256 blocks are two for every multiprocessor. A cut makes two thirds more work, so that two segments would gain nothing.
constexpr Segments complex_segments(Index batch, Index length, Index width) {
  const Index blocks = batch * quotient_up(width, warp);
  const Index count = blocks > 0 ? 256 / blocks : 1;
  if (count < 3 || length <= complex_scan_chunk) return {1, length};
  const Index each = quotient_up(quotient_up(length, count), complex_scan_chunk) * complex_scan_chunk;
  return {quotient_up(length, each), each};
}

/// Which segment and channel a thread works on, and `each` pairs from `first_pair` on.
struct ComplexPlace {
  Index batch;
  Index segment;
  Index channel;
  Index width;
  Index pairs;
  int line;  ///< of its warp
  int lane;
  bool there;  ///< false past the last channel

  template <class Arguments>
  STARLING_DEVICE static ComplexPlace of(const Block& block, const Arguments& a, Index segments) {
    const int strips = static_cast<int>(quotient_up(a.width, warp)), index = static_cast<int>(block.index);
    const int of_batch = index / strips / static_cast<int>(segments), segment = index / strips % static_cast<int>(segments);
    const Index channel = index % strips * warp + block.lane();
    return {of_batch, segment, channel, a.width, a.pairs, block.thread / warp, block.lane(), channel < a.width};
  }
  static Index blocks(Index batch, Index segments, Index width) { return batch * segments * quotient_up(width, warp); }

  /// Pairs of a thread from an array (…, 2, pairs, width) whose part `index` is meant; zero past the last and where there is no array.
  template <int each, class C>
  STARLING_DEVICE void get(const C* from, Index index, Complex<C> (&to)[each]) const {
    for (int k = 0; k < each; ++k) {
      const Index pair = line * each + k;
      to[k] = from && there && pair < pairs ? device::get<C>(from + index * 2 * pairs * width, PairPlace::of(pair, channel, pairs, width))
                                            : Complex<C>{C(0), C(0)};
    }
  }
  template <int each, class C>
  STARLING_DEVICE void put(C* to, Index index, const Complex<C> (&from)[each]) const {
    for (int k = 0; k < each; ++k) {
      const Index pair = line * each + k;
      if (there && pair < pairs) device::put(to + index * 2 * pairs * width, PairPlace::of(pair, channel, pairs, width), from[k]);
    }
  }
};

/// decay + leak tanh(u).
template <bool liquid, class C>
STARLING_DEVICE Complex<C> complex_decay(Complex<C> decay, Complex<C> leak, C bend) {
  if constexpr (!liquid) return decay;
  return {leak.re * bend + decay.re, leak.im * bend + decay.im};
}
/// The state after a token.
template <class C>
STARLING_DEVICE Complex<C> complex_step(Complex<C> decay, Complex<C> s, C u) {
  return {decay.re * s.re + (u - decay.im * s.im), decay.re * s.im + decay.im * s.re};
}
/// conj(weight) dy + flow, the whole gradient of the state after a token.
template <class C>
STARLING_DEVICE Complex<C> complex_gradient(Complex<C> weight, C dy, Complex<C> flow) {
  return {weight.re * dy + flow.re, flow.im - weight.im * dy};
}

/// What the warps of a block fetch of (batch, length, width): of a tile that begins at `first` every thread has the tokens line,
/// line + warps, …; zero from `end` on and past the last channel.
template <int warps, class T>
struct TileTokens {
  static constexpr int each = complex_tile / warps;
  Compute<T> values[each];

  STARLING_DEVICE void fetch(const T* from, Index stride, Index sequence, Index first, Index end, const ComplexPlace& at) {
    for (int i = 0; i < each; ++i) {
      const Index token = first + at.line + i * warps;
      values[i] = at.there && token < end ? Compute<T>(from[(sequence + token) * stride + at.channel]) : Compute<T>(0);
    }
  }
  STARLING_DEVICE void leave(const ComplexPlace& at, Compute<T> (*to)[warp]) const {
    for (int i = 0; i < each; ++i) to[at.line + i * warps][at.lane] = values[i];
  }
  STARLING_DEVICE void leave_bent(const ComplexPlace& at, Compute<T> (*to)[warp]) const {
    for (int i = 0; i < each; ++i) to[at.line + i * warps][at.lane] = tangent(values[i]);
  }
};

/// Kernels that keep no states: eight warps of four pairs each.
inline constexpr int complex_warps = 8;
inline constexpr int complex_each = static_cast<int>(complex_pairs) / complex_warps;

template <class C, bool liquid>
struct ComplexTile {
  C x[complex_tile][warp];                  ///< u or dy
  C bend[liquid ? complex_tile : 1][warp];  ///< tanh(u)
};

/// What every segment but the last makes of the states before it.
template <class T, bool liquid>
struct ComplexScanReduce {
  using C = Compute<T>;
  ComplexScanForward<T> a;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = complex_warps * warp;
  Index blocks() const { return ComplexPlace::blocks(a.batch, segments.count - 1, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(ComplexTile<C, liquid>); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& tile = *reinterpret_cast<ComplexTile<C, liquid>*>(block.shared);
    const auto at = ComplexPlace::of(block, a, segments.count - 1);
    Complex<C> decay[complex_each], leak[complex_each], s[complex_each] = {}, product[complex_each];
    at.get(a.decay, 0, decay);
    at.get(a.leak, 0, leak);
    for (int k = 0; k < complex_each; ++k) product[k] = {C(1), C(0)};
    const Span span = span_of(segments, at.segment, a.length, false);
    TileTokens<complex_warps, T> u;
    u.fetch(a.u, a.u_stride, at.batch * a.length, span.begin, span.end, at);
    for (Index first = span.begin; first < span.end; first += complex_tile) {
      u.leave(at, tile.x);
      if (liquid) u.leave_bent(at, tile.bend);
      block.wait();
      u.fetch(a.u, a.u_stride, at.batch * a.length, first + complex_tile, span.end, at);
      for (int t = 0; t < complex_tile; ++t)
        for (int k = 0; k < complex_each; ++k) {
          const auto d = complex_decay<liquid>(decay[k], leak[k], liquid ? tile.bend[t][at.lane] : C(0));
          s[k] = complex_step(d, s[k], tile.x[t][at.lane]);
          if (liquid) product[k] = product[k] * d;
        }
      block.wait();
    }
    if (!liquid)
      for (int k = 0; k < complex_each; ++k) product[k] = power(decay[k], span.end - span.begin);
    at.put(states.end, at.batch * segments.count + at.segment, s);
    at.put(states.product, at.batch * segments.count + at.segment, product);
  }
};

/// What every segment but the first makes of the gradients that later ones send it, conj(a_{t+1}) g_{t+1}.
template <class T, bool liquid>
struct ComplexScanBackwardReduce {
  using C = Compute<T>;
  ComplexScanBackward<T> a;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = complex_warps * warp;
  Index blocks() const { return ComplexPlace::blocks(a.batch, segments.count - 1, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(ComplexTile<C, liquid>); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& tile = *reinterpret_cast<ComplexTile<C, liquid>*>(block.shared);
    const auto at = ComplexPlace::of(block, a, segments.count - 1);
    Complex<C> decay[complex_each], weight[complex_each], leak[complex_each], flow[complex_each] = {}, product[complex_each];
    at.get(a.decay, 0, decay);
    at.get(a.weight, 0, weight);
    at.get(a.leak, 0, leak);
    for (int k = 0; k < complex_each; ++k) product[k] = {C(1), C(0)};
    const Span span = span_of(segments, at.segment, a.length, true);
    TileTokens<complex_warps, T> dy{}, u{};
    const auto fetch = [&](Index first) {
      if (first < span.begin) return;
      dy.fetch(a.dy, a.dy_stride, at.batch * a.length, first, span.end, at);
      if (liquid) u.fetch(a.u, a.u_stride, at.batch * a.length, first, span.end, at);
    };
    Index first = span.begin + (span.end - 1 - span.begin) / complex_tile * complex_tile;
    fetch(first);
    for (; first >= span.begin; first -= complex_tile) {
      dy.leave(at, tile.x);
      if (liquid) u.leave_bent(at, tile.bend);
      block.wait();
      fetch(first - complex_tile);
      // Tokens past the end have no gradient and come before any that has.
      for (int t = complex_tile - 1; t >= 0; --t)
        for (int k = 0; k < complex_each; ++k) {
          const auto d = complex_decay<liquid>(decay[k], leak[k], liquid ? tile.bend[t][at.lane] : C(0));
          flow[k] = conjugate(d) * complex_gradient(weight[k], tile.x[t][at.lane], flow[k]);
          if (liquid) product[k] = product[k] * conjugate(d);
        }
      block.wait();
    }
    if (!liquid)
      for (int k = 0; k < complex_each; ++k) product[k] = power(conjugate(decay[k]), span.end - span.begin);
    at.put(states.end, at.batch * segments.count + at.segment, flow);
    at.put(states.product, at.batch * segments.count + at.segment, product);
  }
};

/// CarrySegments for complex numbers, one thread for a pair of a channel. All arrays (batch, segments, 2, pairs, width); first: (batch,
/// 2, pairs, width) or null.
template <class C>
struct CarryComplexSegments {
  SegmentStates<C> states;
  const C* first;
  Index batch;
  Index segments;
  Index pairs;
  Index width;

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(batch * pairs * width, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index plane = pairs * width, sequence = block.item() / plane;
    if (sequence >= batch) return;
    const PairPlace at{block.item() % plane, plane + block.item() % plane};
    Complex<C> state = first ? get<C>(first + sequence * 2 * plane, at) : Complex<C>{C(0), C(0)};
    for (Index segment = 0; segment < segments; ++segment) {
      const Index offset = (sequence * segments + segment) * 2 * plane;
      put(states.before + offset, at, state);
      if (segment + 1 < segments) state = get<C>(states.product + offset, at) * state + get<C>(states.end + offset, at);
    }
  }
};

template <class T, bool liquid>
struct ComplexScanApply {
  using C = Compute<T>;
  ComplexScanForward<T> a;
  Segments segments;
  const C* before;  // null where there is one segment

  struct Shared {
    ComplexTile<C, liquid> tile;
    C parts[complex_warps][complex_tile][warp];  ///< of y
  };

  static constexpr int threads = complex_warps * warp;
  Index blocks() const { return ComplexPlace::blocks(a.batch, segments.count, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(Shared); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& [tile, parts] = *reinterpret_cast<Shared*>(block.shared);
    const auto at = ComplexPlace::of(block, a, segments.count);
    const Index chunks = quotient_up(a.length, complex_scan_chunk), tokens = at.batch * a.length;
    Complex<C> decay[complex_each], weight[complex_each], leak[complex_each], s[complex_each];
    at.get(a.decay, 0, decay);
    at.get(a.weight, 0, weight);
    at.get(a.leak, 0, leak);
    at.get(before ? before : a.initial, before ? at.batch * segments.count + at.segment : at.batch, s);
    const C skip = at.there ? a.skip[at.channel] : C(0);
    const Span span = span_of(segments, at.segment, a.length, false);
    TileTokens<complex_warps, T> u, next;
    next.fetch(a.u, a.u_stride, tokens, span.begin, span.end, at);
    for (Index first = span.begin; first < span.end; first += complex_tile) {
      if (a.checkpoints && first % complex_scan_chunk == 0) at.put(a.checkpoints, at.batch * chunks + first / complex_scan_chunk, s);
      u = next;
      u.leave(at, tile.x);
      if (liquid) u.leave_bent(at, tile.bend);
      block.wait();
      next.fetch(a.u, a.u_stride, tokens, first + complex_tile, span.end, at);
      const int count = static_cast<int>(least(complex_tile, span.end - first));
      for (int t = 0; t < count; ++t) {
        C real = C(0), imaginary = C(0);
        for (int k = 0; k < complex_each; ++k) {
          const auto d = complex_decay<liquid>(decay[k], leak[k], liquid ? tile.bend[t][at.lane] : C(0));
          s[k] = complex_step(d, s[k], tile.x[t][at.lane]);
          real += weight[k].re * s[k].re;
          imaginary += weight[k].im * s[k].im;
        }
        parts[at.line][t][at.lane] = real - imaginary;
      }
      block.wait();
      for (int i = 0; i < u.each; ++i) {
        const int t = at.line + i * complex_warps;
        if (!at.there || t >= count) continue;
        C y = skip * u.values[i];
        for (int line = 0; line < complex_warps; ++line) y += parts[line][t][at.lane];
        a.y[(tokens + first + t) * a.y_stride + at.channel] = T(y);
      }
    }
    if (a.final && at.segment == segments.count - 1) at.put(a.final, at.batch, s);
  }
};

/// What blocks leave for the launches that sum over them: (batch · segments, 2, pairs, width), dskip (batch · segments, width).
template <class C>
struct ComplexPartials {
  C* ddecay;
  C* dweight;
  C* dleak;
  C* dskip;
};

template <class T, bool liquid>
struct ComplexScanBackwardApply {
  using C = Compute<T>;
  static constexpr int warps = 16, each = static_cast<int>(complex_pairs) / warps;
  static constexpr int chunk = static_cast<int>(complex_scan_chunk), tiles = chunk / complex_tile;
  /// Tokens whose states lie in registers: what there is room for beside a thread's sums. In double, what shared memory has room for.
  static constexpr int piece = liquid && sizeof(C) == 4 ? 8 : 16, pieces = chunk / piece;
  ComplexScanBackward<T> a;
  Segments segments;
  const C* before;  // null where there is one segment
  ComplexPartials<C> partials;

  struct Shared {
    C u[chunk][warp];
    C dy[chunk][warp];
    C bend[liquid ? chunk : 1][warp];
    Complex<C> starts[pieces - 1][each][warps * warp];  ///< of pieces but the first
    C parts[warps][piece][warp];                        ///< of du
  };

  static constexpr int threads = warps * warp;
  Index blocks() const { return ComplexPlace::blocks(a.batch, segments.count, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(Shared); }

  /// What a thread carries along a segment.
  struct Carried {
    Complex<C> decay[each], weight[each], leak[each];
    Complex<C> flow[each], ddecay[each], dweight[each], dleak[each];
  };

  /// One token back, from the state after it and the one before. The thread's part of du.
  STARLING_DEVICE static C step_back(Carried& of, const Complex<C> (&after)[each], const Complex<C> (&ahead)[each], C dy, C bend) {
    C du = C(0), dbend = C(0);
    for (int k = 0; k < each; ++k) {
      of.dweight[k].re += after[k].re * dy;
      of.dweight[k].im -= after[k].im * dy;
      const auto g = complex_gradient(of.weight[k], dy, of.flow[k]);
      const auto s = ahead[k];
      du += g.re;
      if constexpr (liquid) {
        const auto da = conjugate(s) * g;
        of.ddecay[k] = of.ddecay[k] + da;
        of.dleak[k].re += bend * da.re;
        of.dleak[k].im += bend * da.im;
        dbend += of.leak[k].re * da.re;
        dbend += of.leak[k].im * da.im;
      } else {
        of.ddecay[k].re += s.re * g.re;
        of.ddecay[k].re += s.im * g.im;
        of.ddecay[k].im += s.re * g.im;
        of.ddecay[k].im -= s.im * g.re;
      }
      of.flow[k] = conjugate(complex_decay<liquid>(of.decay[k], of.leak[k], bend)) * g;
    }
    return liquid ? du + (C(1) - bend * bend) * dbend : du;
  }

  STARLING_DEVICE static void step(const Carried& of, const Complex<C> (&ahead)[each], Complex<C> (&after)[each], C u, C bend) {
    for (int k = 0; k < each; ++k) after[k] = complex_step(complex_decay<liquid>(of.decay[k], of.leak[k], bend), ahead[k], u);
  }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& shared = *reinterpret_cast<Shared*>(block.shared);
    const auto at = ComplexPlace::of(block, a, segments.count);
    const Index chunks = quotient_up(a.length, complex_scan_chunk), row = at.batch * segments.count + at.segment;
    Carried of{};
    at.get(a.decay, 0, of.decay);
    at.get(a.weight, 0, of.weight);
    at.get(a.leak, 0, of.leak);
    at.get(before, row, of.flow);
    const C skip = at.there ? a.skip[at.channel] : C(0);
    C dskip = C(0);
    const Span span = span_of(segments, at.segment, a.length, true);
    for (Index number = quotient_up(span.end, chunk) - 1; number * chunk >= span.begin; --number) {
      const Index sequence = at.batch * a.length, begin = number * chunk;
      const int tokens = static_cast<int>(least(chunk, span.end - begin));
      Complex<C> s[each];
      at.get(a.checkpoints, at.batch * chunks + number, s);
      for (int tile = 0; tile < tiles; ++tile) {
        TileTokens<warps, T> u, dy;
        u.fetch(a.u, a.u_stride, sequence, begin + tile * complex_tile, span.end, at);
        dy.fetch(a.dy, a.dy_stride, sequence, begin + tile * complex_tile, span.end, at);
        u.leave(at, shared.u + tile * complex_tile);
        dy.leave(at, shared.dy + tile * complex_tile);
        if (liquid) u.leave_bent(at, shared.bend + tile * complex_tile);
        dskip += u.values[0] * dy.values[0];
      }
      block.wait();
      const int last = (tokens - 1) / piece;
      for (int t = 0; t < last * piece; ++t) {
        step(of, s, s, shared.u[t][at.lane], liquid ? shared.bend[t][at.lane] : C(0));
        if ((t + 1) % piece == 0)
          for (int k = 0; k < each; ++k) shared.starts[t / piece][k][block.thread] = s[k];
      }
      for (int number_of_piece = last; number_of_piece >= 0; --number_of_piece) {
        const int first = number_of_piece * piece, mine = first + at.line;
        Complex<C> states[piece + 1][each];  // [t] before token t
        if (number_of_piece > 0)
          for (int k = 0; k < each; ++k) states[0][k] = shared.starts[number_of_piece - 1][k][block.thread];
        else
          at.get(a.checkpoints, at.batch * chunks + number, states[0]);
        for (int t = 0; t < piece; ++t)
          step(of, states[t], states[t + 1], shared.u[first + t][at.lane], liquid ? shared.bend[first + t][at.lane] : C(0));
        for (int t = piece - 1; t >= 0; --t)
          if (first + t < tokens)
            shared.parts[at.line][t][at.lane] =
                step_back(of, states[t + 1], states[t], shared.dy[first + t][at.lane], liquid ? shared.bend[first + t][at.lane] : C(0));
        block.wait();
        if (at.there && at.line < piece && mine < tokens) {
          C du = skip * shared.dy[mine][at.lane];
          for (int line = 0; line < warps; ++line) du += shared.parts[line][at.line][at.lane];
          a.du[(sequence + begin + mine) * a.du_stride + at.channel] = T(du);
        }
        block.wait();
      }
    }
    at.put(partials.ddecay, row, of.ddecay);
    at.put(partials.dweight, row, of.dweight);
    if (liquid) at.put(partials.dleak, row, of.dleak);
    shared.parts[at.line][0][at.lane] = dskip;
    block.wait();
    if (at.line > 0 || !at.there) return;
    for (int line = 1; line < warps; ++line) dskip += shared.parts[line][0][at.lane];
    partials.dskip[row * a.width + at.channel] = dskip;
  }
};

template <bool liquid, class T, class Launcher>
void launch_complex(const ComplexScanForward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Segments segments = complex_segments(a.batch, a.length, a.width);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(a.batch, segments, 2 * a.pairs * a.width, launcher);
    launcher.launch(ComplexScanReduce<T, liquid>{a, segments, states});
    launcher.launch(CarryComplexSegments<C>{states, a.initial, a.batch, segments.count, a.pairs, a.width});
  }
  launcher.launch(ComplexScanApply<T, liquid>{a, segments, states.before});
}
template <bool liquid, class T, class Launcher>
void launch_complex(const ComplexScanBackward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Segments segments = complex_segments(a.batch, a.length, a.width);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(a.batch, segments, 2 * a.pairs * a.width, launcher);
    launcher.launch(ComplexScanBackwardReduce<T, liquid>{a, segments, states});
    launcher.launch(CarryComplexSegments<C>{states, nullptr, a.batch, segments.count, a.pairs, a.width});
  }
  const Index rows = a.batch * segments.count, plane = 2 * a.pairs * a.width;
  const ComplexPartials<C> partials{launcher.template scratch<C>(rows * plane), launcher.template scratch<C>(rows * plane),
                                    liquid ? launcher.template scratch<C>(rows * plane) : nullptr,
                                    launcher.template scratch<C>(rows * a.width)};
  launcher.launch(ComplexScanBackwardApply<T, liquid>{a, segments, states.before, partials});
  launcher.launch(SumPartials<C>{partials.ddecay, a.ddecay, rows, plane, true});
  launcher.launch(SumPartials<C>{partials.dweight, a.dweight, rows, plane, true});
  if (liquid) launcher.launch(SumPartials<C>{partials.dleak, a.dleak, rows, plane, true});
  launcher.launch(SumPartials<C>{partials.dskip, a.dskip, rows, a.width, true});
}
template <class Arguments, class Launcher>
void launch_complex_of(const Arguments& a, Launcher& launcher) {
  if (a.pairs > complex_pairs)
    throw std::invalid_argument("the complex scan has at most 32 pairs on a device, not " + std::to_string(a.pairs));
  if (a.leak) return launch_complex<true>(a, launcher);
  launch_complex<false>(a, launcher);
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const ComplexScanForward<T>& a, Launcher& launcher) {
  device::launch_complex_of(a, launcher);
}
template <class T, class Launcher>
void launch_all(const ComplexScanBackward<T>& a, Launcher& launcher) {
  device::launch_complex_of(a, launcher);
}

}  // namespace starling::kernels
