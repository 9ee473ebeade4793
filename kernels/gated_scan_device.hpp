// The gated recurrence on a device: a thread carries one channel with its states along a segment of the sequence; neighbours have
// neighbouring channels. Loads of several tokens are under way together. Sequences are cut as those of the diagonal scan are, where
// batch × width alone do not keep a device busy. The backward pass takes states from checkpoints, runs forwards through a chunk once,
// leaving in shared memory those before each piece of 8 tokens, and then piece by piece back with the piece's states in registers.
// B and C act on all channels: their gradients are summed over a warp, then over warps in a second launch.
//
// Floor, bytes per channel and token (bfloat16, two states): forward 8 (v, two gates, y) + ¼ (checkpoints), backward 14 + ¼; cut, the
// inputs are read twice. At most 8 states.
#pragma once

#include <starling/kernels/device_segments.hpp>
#include <starling/kernels/device_sums.hpp>
#include <starling/kernels/gated_scan.hpp>

#include <stdexcept>
#include <string>

namespace starling::kernels::device {

inline constexpr int gated_tokens_under_way = 4;
inline constexpr int gated_piece = 8;  // tokens

/// Of one token and channel.
template <class C, int room>
struct GatedToken {
  C v;
  C decay[room];
  C b[room];
};

template <int room, class C, class Arguments>
STARLING_DEVICE GatedToken<C, room> gated_token(const Arguments& a, Index token, Index channel, const C (&bias)[room]) {
  GatedToken<C, room> of{C(a.v[token * a.v_stride + channel]), {}, {}};
  for (int n = 0; n < room; ++n)
    if (n < a.states) {
      of.decay[n] = sigmoid(C(a.gate[token * a.gate_stride + n * a.width + channel]) + bias[n]);
      of.b[n] = C(a.b[token * a.b_stride + n]);
    }
  return of;
}

template <int room, class C>
STARLING_DEVICE void gated_step(const GatedToken<C, room>& of, C (&h)[room]) {
  for (int n = 0; n < room; ++n) {
    const C fed = of.v * of.b[n];
    h[n] = of.decay[n] * h[n] + (fed - of.decay[n] * fed);
  }
}

inline constexpr int gated_threads = 64;

/// Blocks of one segment of one sequence each, and the channel of a thread.
struct GatedPlace {
  Index batch;
  Index segment;
  Index channel;

  STARLING_DEVICE static GatedPlace of(const Block& block, Index segments, Index width) {
    const Index groups = quotient_up(width, gated_threads);
    return {block.index / groups / segments, block.index / groups % segments, block.index % groups * gated_threads + block.thread};
  }
};
STARLING_DEVICE constexpr Index gated_blocks(Index batch, Index segments, Index width) {
  return batch * segments * quotient_up(width, gated_threads);
}

template <int room, class Arguments, class C>
STARLING_DEVICE void gated_bias(const Arguments& a, Index channel, C (&bias)[room]) {
  for (int n = 0; n < room; ++n) bias[n] = channel < a.width && n < a.states ? a.bias[n * a.width + channel] : C(0);
}

/// What every segment but the last makes of the states before it. room: states a thread has registers for.
template <class T, int room>
struct GatedScanReduce {
  using C = Compute<T>;
  GatedScanForward<T> a;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = gated_threads;
  Index blocks() const { return gated_blocks(a.batch, segments.count - 1, a.width); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const auto [batch, segment, channel] = GatedPlace::of(block, segments.count - 1, a.width);
    if (channel >= a.width) return;
    C bias[room], h[room] = {}, product[room];
    gated_bias(a, channel, bias);
    for (int n = 0; n < room; ++n) product[n] = C(1);
    const Span span = span_of(segments, segment, a.length, false);
    for (Index first = span.begin; first < span.end; first += gated_tokens_under_way) {
      GatedToken<C, room> tokens[gated_tokens_under_way] = {};
      for (int k = 0; k < gated_tokens_under_way; ++k)
        if (first + k < span.end) tokens[k] = gated_token<room>(a, batch * a.length + first + k, channel, bias);
      for (int k = 0; k < gated_tokens_under_way; ++k)
        if (first + k < span.end) {
          gated_step(tokens[k], h);
          for (int n = 0; n < room; ++n) product[n] *= tokens[k].decay[n];
        }
    }
    for (int n = 0; n < room; ++n)
      if (n < a.states) {
        const Index at = ((batch * segments.count + segment) * a.states + n) * a.width + channel;
        states.end[at] = h[n];
        states.product[at] = product[n];
      }
  }
};

template <class T, int room>
struct GatedScanApply {
  using C = Compute<T>;
  GatedScanForward<T> a;
  Segments segments;
  const C* before;  // null where there is one segment

  static constexpr int threads = gated_threads;
  Index blocks() const { return gated_blocks(a.batch, segments.count, a.width); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const auto [batch, segment, channel] = GatedPlace::of(block, segments.count, a.width);
    if (channel >= a.width) return;
    const Index chunks = quotient_up(a.length, gated_scan_chunk);
    const C* const from = before      ? before + (batch * segments.count + segment) * a.states * a.width
                          : a.initial ? a.initial + batch * a.states * a.width
                                      : nullptr;
    C bias[room], h[room];
    gated_bias(a, channel, bias);
    for (int n = 0; n < room; ++n) h[n] = from && n < a.states ? from[n * a.width + channel] : C(0);
    const Span span = span_of(segments, segment, a.length, false);
    for (Index first = span.begin; first < span.end; first += gated_tokens_under_way) {
      if (a.checkpoints && first % gated_scan_chunk == 0)
        for (int n = 0; n < room; ++n)
          if (n < a.states) a.checkpoints[((batch * chunks + first / gated_scan_chunk) * a.states + n) * a.width + channel] = h[n];
      GatedToken<C, room> tokens[gated_tokens_under_way] = {};
      C gain[gated_tokens_under_way][room] = {};
      for (int k = 0; k < gated_tokens_under_way; ++k)
        if (first + k < span.end) {
          const Index token = batch * a.length + first + k;
          tokens[k] = gated_token<room>(a, token, channel, bias);
          for (int n = 0; n < room; ++n)
            if (n < a.states) gain[k][n] = C(a.c[token * a.c_stride + n]);
        }
      for (int k = 0; k < gated_tokens_under_way; ++k)
        if (first + k < span.end) {
          gated_step(tokens[k], h);
          C y = C(0);
          for (int n = 0; n < room; ++n) y += h[n] * gain[k][n];
          a.y[(batch * a.length + first + k) * a.y_stride + channel] = T(y);
        }
    }
    if (a.final && segment == segments.count - 1)
      for (int n = 0; n < room; ++n)
        if (n < a.states) a.final[(batch * a.states + n) * a.width + channel] = h[n];
  }
};

/// What every segment but the first makes of the gradients that later ones send it, a_{t+1} g_{t+1}.
template <class T, int room>
struct GatedScanBackwardReduce {
  using C = Compute<T>;
  GatedScanBackward<T> a;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = gated_threads;
  Index blocks() const { return gated_blocks(a.batch, segments.count - 1, a.width); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const auto [batch, segment, channel] = GatedPlace::of(block, segments.count - 1, a.width);
    if (channel >= a.width) return;
    C bias[room], flow[room] = {}, product[room];
    gated_bias(a, channel, bias);
    for (int n = 0; n < room; ++n) product[n] = C(1);
    const Span span = span_of(segments, segment, a.length, true);
    for (Index last = span.end - 1; last >= span.begin; last -= gated_tokens_under_way) {
      C decay[gated_tokens_under_way][room] = {}, direct[gated_tokens_under_way][room] = {};
      for (int k = 0; k < gated_tokens_under_way; ++k) {
        if (last - k < span.begin) continue;
        const Index token = batch * a.length + last - k;
        const C dy = C(a.dy[token * a.dy_stride + channel]);
        for (int n = 0; n < room; ++n)
          if (n < a.states) {
            decay[k][n] = sigmoid(C(a.gate[token * a.gate_stride + n * a.width + channel]) + bias[n]);
            direct[k][n] = dy * C(a.c[token * a.c_stride + n]);
          }
      }
      for (int k = 0; k < gated_tokens_under_way; ++k)
        if (last - k >= span.begin)
          for (int n = 0; n < room; ++n) {
            flow[n] = decay[k][n] * (direct[k][n] + flow[n]);
            product[n] *= decay[k][n];
          }
    }
    for (int n = 0; n < room; ++n)
      if (n < a.states) {
        const Index at = ((batch * segments.count + segment) * a.states + n) * a.width + channel;
        states.end[at] = flow[n];
        states.product[at] = product[n];
      }
  }
};

template <class T, int room>
struct GatedScanBackwardApply {
  using C = Compute<T>;
  static constexpr int pieces = gated_scan_chunk / gated_piece;
  GatedScanBackward<T> a;
  Segments segments;
  const C* before;  // null where there is one segment
  C* modulators;    ///< (warps of channels, batch · length, 2, states): dB, dC
  C* dbias;         ///< (batch · segments, states, width)

  static constexpr int threads = gated_threads;
  Index blocks() const { return gated_blocks(a.batch, segments.count, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(C) * pieces * room * threads; }

  STARLING_DEVICE void operator()(Block& block) const {
    const auto [batch, segment, channel] = GatedPlace::of(block, segments.count, a.width);
    const Index chunks = quotient_up(a.length, gated_scan_chunk);
    // Threads past the last channel take part in the sums over warps, with zeros.
    const bool there = channel < a.width;
    const Index line = channel / warp;
    // Of this thread alone: no barrier stands between writing and reading.
    C* const starts = reinterpret_cast<C*>(block.shared) + block.thread;
    C bias[room], flow[room], sums[room] = {};
    gated_bias(a, channel, bias);
    for (int n = 0; n < room; ++n)
      flow[n] = before && there && n < a.states ? before[((batch * segments.count + segment) * a.states + n) * a.width + channel] : C(0);
    const Span span = span_of(segments, segment, a.length, true);
    for (Index chunk = (span.end - 1) / gated_scan_chunk; chunk * gated_scan_chunk >= span.begin; --chunk) {
      const Index begin = chunk * gated_scan_chunk, end = least(begin + gated_scan_chunk, span.end);
      C start[room] = {};
      if (there)
        for (int n = 0; n < room; ++n)
          if (n < a.states) start[n] = a.checkpoints[((batch * chunks + chunk) * a.states + n) * a.width + channel];
      for (Index first = begin; first < end; first += gated_piece) {
        for (int n = 0; n < room; ++n) starts[((first - begin) / gated_piece * room + n) * threads] = start[n];
        if (!there || first + gated_piece >= end) continue;
        GatedToken<C, room> tokens[gated_piece];
        for (int k = 0; k < gated_piece; ++k) tokens[k] = gated_token<room>(a, batch * a.length + first + k, channel, bias);
        for (int k = 0; k < gated_piece; ++k) gated_step(tokens[k], start);
      }
      for (Index piece = (end - 1 - begin) / gated_piece; piece >= 0; --piece) {
        const Index first = begin + piece * gated_piece;
        C h[gated_piece + 1][room];  // [k] is the state before token first + k
        GatedToken<C, room> tokens[gated_piece] = {};
        for (int n = 0; n < room; ++n) h[0][n] = starts[(piece * room + n) * threads];
        for (int k = 0; k < gated_piece; ++k)
          if (there && first + k < end) tokens[k] = gated_token<room>(a, batch * a.length + first + k, channel, bias);
        for (int k = 0; k < gated_piece; ++k) {
          for (int n = 0; n < room; ++n) h[k + 1][n] = h[k][n];
          gated_step(tokens[k], h[k + 1]);
        }
        for (int k = gated_piece - 1; k >= 0; --k) {
          if (first + k >= end) continue;
          const Index token = batch * a.length + first + k;
          const C dy = there ? C(a.dy[token * a.dy_stride + channel]) : C(0);
          C dv = C(0);
          for (int n = 0; n < room; ++n) {
            if (n >= a.states) continue;
            const C gain = C(a.c[token * a.c_stride + n]);
            const C g = dy * gain + flow[n];
            const C kept = tokens[k].decay[n] * g;
            const C fed = g - kept;  // (1 − a) g
            const C dgate = (h[k][n] - tokens[k].v * tokens[k].b[n]) * (fed * tokens[k].decay[n]);
            dv += fed * tokens[k].b[n];
            sums[n] += dgate;
            flow[n] = kept;
            if (there) a.dgate[token * a.dgate_stride + n * a.width + channel] = T(dgate);
            const C db = block.warp_sum(fed * tokens[k].v), dc = block.warp_sum(dy * h[k + 1][n]);
            if (there && block.lane() == 0) {
              C* const to = modulators + (line * a.batch * a.length + token) * 2 * a.states;
              to[n] = db;
              to[a.states + n] = dc;
            }
          }
          if (there) a.dv[token * a.dv_stride + channel] = T(dv);
        }
      }
    }
    for (int n = 0; n < room; ++n)
      if (there && n < a.states) dbias[((batch * segments.count + segment) * a.states + n) * a.width + channel] = sums[n];
  }
};

template <int room, class T, class Launcher>
void launch_gated(const GatedScanForward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Segments segments = segments_of_chunks(a.batch * a.width, a.length, gated_scan_chunk);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(a.batch, segments, a.states * a.width, launcher);
    launcher.launch(GatedScanReduce<T, room>{a, segments, states});
    launcher.launch(CarrySegments<C>{states, a.initial, a.batch, segments.count, a.states * a.width});
  }
  launcher.launch(GatedScanApply<T, room>{a, segments, states.before});
}
template <int room, class T, class Launcher>
void launch_gated(const GatedScanBackward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Segments segments = segments_of_chunks(a.batch * a.width, a.length, gated_scan_chunk);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(a.batch, segments, a.states * a.width, launcher);
    launcher.launch(GatedScanBackwardReduce<T, room>{a, segments, states});
    launcher.launch(CarrySegments<C>{states, nullptr, a.batch, segments.count, a.states * a.width});
  }
  const Index lines = quotient_up(a.width, warp), rows = a.batch * segments.count;
  auto* const modulators = launcher.template scratch<C>(lines * a.batch * a.length * 2 * a.states);
  auto* const dbias = launcher.template scratch<C>(rows * a.states * a.width);
  launcher.launch(GatedScanBackwardApply<T, room>{a, segments, states.before, modulators, dbias});
  launcher.launch(SumModulators<T, C>{modulators, a.db, a.dc, lines, a.batch * a.length, a.states, a.db_stride, a.dc_stride});
  launcher.launch(SumPartials<C>{dbias, a.dbias, rows, a.states * a.width});
}
template <class Arguments, class Launcher>
void launch_gated_of(const Arguments& a, Launcher& launcher) {
  if (a.batch == 0 || a.width == 0 || a.length == 0) return;
  if (a.states <= 2) return launch_gated<2>(a, launcher);
  if (a.states <= 8) return launch_gated<8>(a, launcher);
  throw std::invalid_argument("the gated recurrence has at most 8 states on a device, not " + std::to_string(a.states));
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const GatedScanForward<T>& a, Launcher& launcher) {
  device::launch_gated_of(a, launcher);
}
template <class T, class Launcher>
void launch_all(const GatedScanBackward<T>& a, Launcher& launcher) {
  device::launch_gated_of(a, launcher);
}

}  // namespace starling::kernels
