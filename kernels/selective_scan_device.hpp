// The selective scan on a device. A block carries 32 channels of one sequence from tile to tile of 16 tokens, 16 lanes a channel, which
// share its states; what comes from memory is read once, by whole lines, into shared memory. The lanes' parts of y of a tile are summed
// by exchanging halves, 15 exchanges for 16 tokens, and end where the next lane is the next token. The backward pass takes states
// from checkpoints, runs forwards to the beginnings of a chunk's tiles, then tile by tile back with the tile's states in registers.
// B and C act on all channels: their gradients are summed over a block in shared memory, then over blocks in a second launch.
// Where batch × width alone make too few blocks, sequences are cut into segments of whole chunks: a launch finds what each makes of a
// state, for half the work of a pass, another the states between them. A segment's decay is that of the sum of its steps.
//
// Floor, bytes per channel and token (bfloat16): forward 8 (v, Δ, z, y) + 1 (checkpoints), backward 14 + 1, and 8 of the sums
// over blocks, written and read. Exponentials per state: 1 forward, 1.75 backward; at 16 states they cost about as much.
// At most 64 states.
#pragma once

#include <starling/kernels/device_segments.hpp>
#include <starling/kernels/device_sums.hpp>
#include <starling/kernels/selective_scan.hpp>

#include <stdexcept>
#include <string>

namespace starling::kernels::device {

inline constexpr int scan_lanes = 16;     // of a channel
inline constexpr int scan_channels = 32;  // of a block
inline constexpr int scan_tile = 16;      // tokens; as many as lanes
inline constexpr int scan_threads = scan_lanes * scan_channels;
inline constexpr int scan_tiles = scan_chunk / scan_tile;

/// Of one tile, by token; zero where the sequence or its channels have ended.
template <class C, int per_lane>
struct ScanTile {
  static constexpr int states = per_lane * scan_lanes;
  C step[scan_tile][scan_channels];  ///< Δ
  C v[scan_tile][scan_channels];
  C u[scan_tile][scan_channels];  ///< dy silu(z)
  C b[scan_tile][states];
  C c[scan_tile][states];
  C out[3][scan_tile][scan_channels];
};

/// Which channel and states a thread carries, and which token and channel of a tile it fetches and writes.
struct ScanThread {
  int channel;
  int lane;
  int token;
  int column;

  STARLING_DEVICE static ScanThread of(int thread) {
    return {thread / scan_lanes, thread % scan_lanes, thread / scan_channels, thread % scan_channels};
  }
};

/// sums[i] of all 16 lanes, i the lane's own number: halves go to who keeps them, four times.
template <class C>
STARLING_DEVICE C exchange_sums(const Block& block, int lane, C (&sums)[scan_lanes]) {
  for (int half = scan_lanes / 2; half > 0; half /= 2) {
    const bool upper = (lane & half) != 0;
    for (int i = 0; i < scan_lanes / 2; ++i) {
      if (i >= half) continue;
      const C kept = upper ? sums[i + half] : sums[i], sent = upper ? sums[i] : sums[i + half];
      sums[i] = kept + block.across(sent, half);
    }
  }
  return sums[0];
}

/// What a thread has fetched of its token and channel, kept for when the tile is written.
template <class C>
struct Fetched {
  bool there;
  C v;
  C raw;  ///< of Δ, with its bias
  C z;
};

template <int per_lane, class Arguments, class C>
STARLING_DEVICE Fetched<C> fetch_tile(const Arguments& a, const ScanThread& me, int thread, Index batch, Index first_channel, Index first,
                                      ScanTile<C, per_lane>& tile) {
  constexpr int states = per_lane * scan_lanes;
  const Index token = batch * a.length + first + me.token, channel = first_channel + me.column;
  Fetched<C> mine{first + me.token < a.length && channel < a.width, C(0), C(0), C(0)};
  if (mine.there) {
    mine.v = C(a.v[token * a.v_stride + channel]);
    mine.raw = C(a.delta[token * a.delta_stride + channel]) + (a.bias ? a.bias[channel] : C(0));
    if (a.z) mine.z = C(a.z[token * a.z_stride + channel]);
  }
  tile.step[me.token][me.column] = mine.there ? softplus(mine.raw) : C(0);
  tile.v[me.token][me.column] = mine.v;
  for (int i = thread; i < scan_tile * states; i += scan_threads) {
    const int t = i / states, n = i % states;
    const bool there = first + t < a.length && n < a.states;
    tile.b[t][n] = there ? C(a.b[(batch * a.length + first + t) * a.b_stride + n]) : C(0);
    tile.c[t][n] = there ? C(a.c[(batch * a.length + first + t) * a.c_stride + n]) : C(0);
  }
  return mine;
}

/// A log₂ e of a thread's states; 0 past the last channel and state.
template <int per_lane, class Arguments, class C>
STARLING_DEVICE void scan_decays(const Arguments& a, Index channel, int lane, C (&decay)[per_lane]) {
  for (int k = 0; k < per_lane; ++k) {
    const int n = lane + k * scan_lanes;
    decay[k] = channel < a.width && n < a.states ? exponential(a.a_log[channel * a.states + n]) * C(-1.44269504088896340736) : C(0);
  }
}

/// Two blocks for each multiprocessor of an H100.
constexpr Segments scan_segments(Index batch, Index width, Index length) {
  constexpr Index blocks_wanted = 256;
  const Index blocks = batch * quotient_up(width, scan_channels);
  Index count = least(blocks_wanted / blocks, length / scan_chunk);
  if (count < 1) count = 1;
  const Index each = quotient_up(quotient_up(length, scan_chunk), count) * scan_chunk;
  return {quotient_up(length, each), each};
}

/// Which segment and channels a block carries, of `segments` segments of a sequence.
struct ScanPlace {
  Index batch;
  Index segment;
  Index group;
  Index first_channel;

  STARLING_DEVICE static ScanPlace of(const Block& block, Index segments, Index width) {
    const Index groups = quotient_up(width, scan_channels), group = block.index % groups;
    return {block.index / groups / segments, block.index / groups % segments, group, group * scan_channels};
  }
};
constexpr Index scan_blocks(Index batch, Index segments, Index width) { return batch * segments * quotient_up(width, scan_channels); }

/// Of a thread's states from and to (sequences or segments, width, states); zero where there are none.
template <int per_lane, class Arguments, class C>
STARLING_DEVICE void load_states(const Arguments& a, const C* from, Index row, Index channel, int lane, C (&states)[per_lane]) {
  for (int k = 0; k < per_lane; ++k) {
    const int n = lane + k * scan_lanes;
    states[k] = from && channel < a.width && n < a.states ? from[(row * a.width + channel) * a.states + n] : C(0);
  }
}
template <int per_lane, class Arguments, class C>
STARLING_DEVICE void store_states(const Arguments& a, const C (&states)[per_lane], Index row, Index channel, int lane, C* to) {
  for (int k = 0; k < per_lane; ++k) {
    const int n = lane + k * scan_lanes;
    if (channel < a.width && n < a.states) to[(row * a.width + channel) * a.states + n] = states[k];
  }
}

/// What every segment but the last makes of the states before it.
template <class T, int per_lane>
struct SelectiveScanReduce {
  using C = Compute<T>;
  SelectiveScanForward<T> a;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = scan_threads;
  Index blocks() const { return scan_blocks(a.batch, segments.count - 1, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(ScanTile<C, per_lane>); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& tile = *reinterpret_cast<ScanTile<C, per_lane>*>(block.shared);
    const ScanThread me = ScanThread::of(block.thread);
    const auto place = ScanPlace::of(block, segments.count - 1, a.width);
    const Index carried = place.first_channel + me.channel;
    C decay[per_lane], h[per_lane] = {}, steps = C(0);
    scan_decays(a, carried, me.lane, decay);
    const Span span = span_of(segments, place.segment, a.length, false);
    for (Index first = span.begin; first < span.end; first += scan_tile) {
      fetch_tile(a, me, block.thread, place.batch, place.first_channel, first, tile);
      block.wait();
      for (int t = 0; t < scan_tile; ++t) {
        const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel];
        steps += step;
        for (int k = 0; k < per_lane; ++k) h[k] = exponential2(step * decay[k]) * h[k] + fed * tile.b[t][me.lane + k * scan_lanes];
      }
      block.wait();
    }
    for (int k = 0; k < per_lane; ++k) decay[k] = exponential2(steps * decay[k]);
    const Index row = place.batch * segments.count + place.segment;
    store_states(a, h, row, carried, me.lane, states.end);
    store_states(a, decay, row, carried, me.lane, states.product);
  }
};

template <class T, int per_lane>
struct SelectiveScanKernel {
  using C = Compute<T>;
  SelectiveScanForward<T> a;
  Segments segments;
  const C* before;  // null where there is one segment

  static constexpr int threads = scan_threads;
  Index blocks() const { return scan_blocks(a.batch, segments.count, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(ScanTile<C, per_lane>); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& tile = *reinterpret_cast<ScanTile<C, per_lane>*>(block.shared);
    const ScanThread me = ScanThread::of(block.thread);
    const auto [batch, segment, group, first_channel] = ScanPlace::of(block, segments.count, a.width);
    const Index carried = first_channel + me.channel, chunks = quotient_up(a.length, scan_chunk);
    C decay[per_lane], h[per_lane];
    scan_decays(a, carried, me.lane, decay);
    if (before)
      load_states(a, before, batch * segments.count + segment, carried, me.lane, h);
    else
      load_states(a, a.initial, batch, carried, me.lane, h);
    const Index column = first_channel + me.column;
    const C skip = a.skip && column < a.width ? a.skip[column] : C(0);
    const Span span = span_of(segments, segment, a.length, false);
    for (Index first = span.begin; first < span.end; first += scan_tile) {
      if (a.checkpoints && first % scan_chunk == 0)
        for (int k = 0; k < per_lane; ++k) {
          const int n = me.lane + k * scan_lanes;
          if (carried < a.width && n < a.states)
            a.checkpoints[((batch * chunks + first / scan_chunk) * a.states + n) * a.width + carried] = h[k];
        }
      const auto mine = fetch_tile(a, me, block.thread, batch, first_channel, first, tile);
      block.wait();
      C sums[scan_tile];
      for (int t = 0; t < scan_tile; ++t) {
        const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel];
        sums[t] = C(0);
        for (int k = 0; k < per_lane; ++k) {
          const int n = me.lane + k * scan_lanes;
          h[k] = exponential2(step * decay[k]) * h[k] + fed * tile.b[t][n];
          sums[t] += h[k] * tile.c[t][n];
        }
      }
      tile.out[0][me.lane][me.channel] = exchange_sums(block, me.lane, sums);
      block.wait();
      if (mine.there) {
        C y = tile.out[0][me.token][me.column] + skip * mine.v;
        if (a.z) y *= mine.z * sigmoid(mine.z);
        a.y[(batch * a.length + first + me.token) * a.y_stride + column] = T(y);
      }
    }
    if (a.final && segment == segments.count - 1) store_states(a, h, batch, carried, me.lane, a.final);
  }
};

/// What blocks leave for the launches that sum over them.
template <class C>
struct ScanPartials {
  C* modulators;  ///< (groups of channels, batch · length, 2, states): dB, dC
  C* da_log;      ///< (batch · segments, width, states)
  C* dskip;       ///< (batch · segments, width)
  C* dbias;       ///< (batch · segments, width)
};

/// What a thread has fetched of its token's gradient; `u` lies in the tile too.
template <class C>
struct FetchedGradient {
  C dy;
  C gate;  ///< σ(z)
  C u;
};
template <int per_lane, class T, class C>
STARLING_DEVICE FetchedGradient<C> fetch_gradient(const SelectiveScanBackward<T>& a, const ScanThread& me, const Fetched<C>& mine,
                                                  Index token, Index column, ScanTile<C, per_lane>& tile) {
  const C dy = mine.there ? C(a.dy[(token + me.token) * a.dy_stride + column]) : C(0), gate = sigmoid(mine.z);
  const C u = a.z ? dy * (mine.z * gate) : dy;
  tile.u[me.token][me.column] = u;
  return {dy, gate, u};
}

/// What every segment but the first makes of the gradients of states that later ones send it.
template <class T, int per_lane>
struct SelectiveScanBackwardReduce {
  using C = Compute<T>;
  SelectiveScanBackward<T> a;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = scan_threads;
  Index blocks() const { return scan_blocks(a.batch, segments.count - 1, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(ScanTile<C, per_lane>); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& tile = *reinterpret_cast<ScanTile<C, per_lane>*>(block.shared);
    const ScanThread me = ScanThread::of(block.thread);
    const auto place = ScanPlace::of(block, segments.count - 1, a.width);
    const Index carried = place.first_channel + me.channel, column = place.first_channel + me.column;
    C decay[per_lane], flow[per_lane] = {}, steps = C(0);
    scan_decays(a, carried, me.lane, decay);
    const Span span = span_of(segments, place.segment, a.length, true);
    for (Index first = (span.end - 1) / scan_tile * scan_tile; first >= span.begin; first -= scan_tile) {
      const auto mine = fetch_tile(a, me, block.thread, place.batch, place.first_channel, first, tile);
      fetch_gradient(a, me, mine, place.batch * a.length + first, column, tile);
      block.wait();
      for (int t = scan_tile - 1; t >= 0; --t) {
        const C step = tile.step[t][me.channel], of_y = tile.u[t][me.channel];
        steps += step;
        for (int k = 0; k < per_lane; ++k) flow[k] = exponential2(step * decay[k]) * (of_y * tile.c[t][me.lane + k * scan_lanes] + flow[k]);
      }
      block.wait();
    }
    for (int k = 0; k < per_lane; ++k) decay[k] = exponential2(steps * decay[k]);
    const Index row = place.batch * segments.count + place.segment;
    store_states(a, flow, row, carried, me.lane, states.end);
    store_states(a, decay, row, carried, me.lane, states.product);
  }
};

template <class T, int per_lane>
struct SelectiveScanBackwardKernel {
  using C = Compute<T>;
  SelectiveScanBackward<T> a;
  Segments segments;
  const C* before;  // null where there is one segment
  ScanPartials<C> partials;

  struct Shared {
    ScanTile<C, per_lane> tile;
    C modulators[scan_channels][scan_tile][scan_lanes];  ///< of one of dB, dC, 16 states at a time
  };

  static constexpr int threads = scan_threads;
  Index blocks() const { return scan_blocks(a.batch, segments.count, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(Shared); }

  /// Of states from `first_state` on of dB (which = 0) or dC: Σ over the block's channels to its place among the partial sums.
  STARLING_DEVICE void leave_modulators(const Block& block, Index group, Index token, Index tokens, int which, int first_state,
                                        const Shared& shared) const {
    const int t = block.thread / scan_lanes, n = first_state + block.thread % scan_lanes;
    if (t >= tokens || n >= a.states) return;
    C sum = C(0);
    for (int channel = 0; channel < scan_channels; ++channel) sum += shared.modulators[channel][t][block.thread % scan_lanes];
    partials.modulators[((group * a.batch * a.length + token + t) * 2 + which) * a.states + n] = sum;
  }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& shared = *reinterpret_cast<Shared*>(block.shared);
    auto& tile = shared.tile;
    const ScanThread me = ScanThread::of(block.thread);
    const auto [batch, segment, group, first_channel] = ScanPlace::of(block, segments.count, a.width);
    const Index chunks = quotient_up(a.length, scan_chunk), row = batch * segments.count + segment;
    const Index carried = first_channel + me.channel, column = first_channel + me.column;
    const C skip = a.skip && column < a.width ? a.skip[column] : C(0);
    C decay[per_lane], flow[per_lane], da[per_lane] = {};
    scan_decays(a, carried, me.lane, decay);
    load_states(a, before, row, carried, me.lane, flow);
    C dskip = C(0), dbias = C(0);
    const Span span = span_of(segments, segment, a.length, true);
    for (Index chunk = (span.end - 1) / scan_chunk; chunk * scan_chunk >= span.begin; --chunk) {
      C start[scan_tiles][per_lane];
      for (int k = 0; k < per_lane; ++k) {
        const int n = me.lane + k * scan_lanes;
        start[0][k] =
            carried < a.width && n < a.states ? a.checkpoints[((batch * chunks + chunk) * a.states + n) * a.width + carried] : C(0);
      }
      for (int i = 0; i + 1 < scan_tiles; ++i) {
        for (int k = 0; k < per_lane; ++k) start[i + 1][k] = start[i][k];
        const Index first = chunk * scan_chunk + i * scan_tile;
        if (first >= a.length) continue;
        fetch_tile(a, me, block.thread, batch, first_channel, first, tile);
        block.wait();
        for (int t = 0; t < scan_tile; ++t) {
          const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel];
          for (int k = 0; k < per_lane; ++k)
            start[i + 1][k] = exponential2(step * decay[k]) * start[i + 1][k] + fed * tile.b[t][me.lane + k * scan_lanes];
        }
        block.wait();
      }
      for (int i = scan_tiles - 1; i >= 0; --i) {
        const Index first = chunk * scan_chunk + i * scan_tile, token = batch * a.length + first;
        if (first >= a.length) continue;
        const auto mine = fetch_tile(a, me, block.thread, batch, first_channel, first, tile);
        const auto [dy, gate, u] = fetch_gradient(a, me, mine, token, column, tile);
        block.wait();

        C states_before[scan_tile + 1][per_lane], factor[scan_tile][per_lane], y[scan_tile];
        for (int k = 0; k < per_lane; ++k) states_before[0][k] = start[i][k];
        for (int t = 0; t < scan_tile; ++t) {
          const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel];
          y[t] = C(0);
          for (int k = 0; k < per_lane; ++k) {
            factor[t][k] = exponential2(step * decay[k]);
            states_before[t + 1][k] = factor[t][k] * states_before[t][k] + fed * tile.b[t][me.lane + k * scan_lanes];
            y[t] += states_before[t + 1][k] * tile.c[t][me.lane + k * scan_lanes];
          }
        }
        tile.out[0][me.lane][me.channel] = exchange_sums(block, me.lane, y);
        C through_b[scan_tile], through_decay[scan_tile];
        for (int t = scan_tile - 1; t >= 0; --t) {
          const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel], of_y = tile.u[t][me.channel];
          through_b[t] = through_decay[t] = C(0);
          for (int k = 0; k < per_lane; ++k) {
            const int n = me.lane + k * scan_lanes;
            const C whole = of_y * tile.c[t][n] + flow[k];
            const C moved = whole * factor[t][k];  // the gradient of the state before
            const C turned = moved * states_before[t][k];
            through_b[t] += whole * tile.b[t][n];
            through_decay[t] += turned * decay[k];
            da[k] += turned * step;
            factor[t][k] = whole * fed;  // dB of this channel; the decay is not needed any more
            flow[k] = moved;
          }
        }
        tile.out[1][me.lane][me.channel] = exchange_sums(block, me.lane, through_b);
        tile.out[2][me.lane][me.channel] = exchange_sums(block, me.lane, through_decay);
        block.wait();
        if (mine.there) {
          const Index at = token + me.token;
          const C sum_b = tile.out[1][me.token][me.column], step = tile.step[me.token][me.column];
          const C ddelta = (tile.out[2][me.token][me.column] * C(0.69314718055994530942) + sum_b * mine.v) * sigmoid(mine.raw);
          a.dv[at * a.dv_stride + column] = T(step * sum_b + skip * u);
          a.ddelta[at * a.ddelta_stride + column] = T(ddelta);
          if (a.z)
            a.dz[at * a.dz_stride + column] =
                T(dy * (gate * (mine.z * (C(1) - gate) + C(1))) * (tile.out[0][me.token][me.column] + skip * mine.v));
          dskip += u * mine.v;
          dbias += ddelta;
        }
        const Index tokens = least(scan_tile, a.length - first);
        for (int k = 0; k < per_lane; ++k)
          for (int which = 0; which < 2; ++which) {
            for (int t = 0; t < scan_tile; ++t)
              shared.modulators[me.channel][t][me.lane] = which == 0 ? factor[t][k] : tile.u[t][me.channel] * states_before[t + 1][k];
            block.wait();
            leave_modulators(block, group, token, tokens, which, k * scan_lanes, shared);
            block.wait();
          }
      }
    }
    for (int k = 0; k < per_lane; ++k) da[k] *= decay[k] * C(0.69314718055994530942);
    store_states(a, da, row, carried, me.lane, partials.da_log);
    tile.out[0][me.token][me.column] = dskip;
    tile.out[1][me.token][me.column] = dbias;
    block.wait();
    if (block.thread >= scan_channels || column >= a.width) return;
    for (int t = 1; t < scan_tile; ++t) {
      dskip += tile.out[0][t][me.column];
      dbias += tile.out[1][t][me.column];
    }
    partials.dskip[row * a.width + column] = dskip;
    partials.dbias[row * a.width + column] = dbias;
  }
};

template <int per_lane, class T, class Launcher>
void launch_scan(const SelectiveScanForward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Segments segments = scan_segments(a.batch, a.width, a.length);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(a.batch, segments, a.width * a.states, launcher);
    auto ungated = a;
    ungated.z = nullptr;
    launcher.launch(SelectiveScanReduce<T, per_lane>{ungated, segments, states});
    launcher.launch(CarrySegments<C>{states, a.initial, a.batch, segments.count, a.width * a.states});
  }
  launcher.launch(SelectiveScanKernel<T, per_lane>{a, segments, states.before});
}
template <int per_lane, class T, class Launcher>
void launch_scan(const SelectiveScanBackward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Segments segments = scan_segments(a.batch, a.width, a.length);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(a.batch, segments, a.width * a.states, launcher);
    launcher.launch(SelectiveScanBackwardReduce<T, per_lane>{a, segments, states});
    launcher.launch(CarrySegments<C>{states, nullptr, a.batch, segments.count, a.width * a.states});
  }
  const Index groups = quotient_up(a.width, scan_channels), rows = a.batch * segments.count;
  const ScanPartials<C> partials{launcher.template scratch<C>(groups * a.batch * a.length * 2 * a.states),
                                 launcher.template scratch<C>(rows * a.width * a.states), launcher.template scratch<C>(rows * a.width),
                                 launcher.template scratch<C>(rows * a.width)};
  launcher.launch(SelectiveScanBackwardKernel<T, per_lane>{a, segments, states.before, partials});
  launcher.launch(SumModulators<T, C>{partials.modulators, a.db, a.dc, groups, a.batch * a.length, a.states, a.db_stride, a.dc_stride});
  launcher.launch(SumPartials<C>{partials.da_log, a.da_log, rows, a.width * a.states});
  if (a.dskip) launcher.launch(SumPartials<C>{partials.dskip, a.dskip, rows, a.width});
  if (a.dbias) launcher.launch(SumPartials<C>{partials.dbias, a.dbias, rows, a.width});
}
template <class Arguments, class Launcher>
void launch_scan_of(const Arguments& a, Launcher& launcher) {
  if (a.batch == 0 || a.width == 0 || a.length == 0) return;
  if (a.states <= scan_lanes) return launch_scan<1>(a, launcher);
  if (a.states <= 4 * scan_lanes) return launch_scan<4>(a, launcher);
  throw std::invalid_argument("the selective scan has at most 64 states on a device, not " + std::to_string(a.states));
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const SelectiveScanForward<T>& a, Launcher& launcher) {
  device::launch_scan_of(a, launcher);
}
template <class T, class Launcher>
void launch_all(const SelectiveScanBackward<T>& a, Launcher& launcher) {
  device::launch_scan_of(a, launcher);
}

}  // namespace starling::kernels
