// The selective scan on a device. A block carries 32 channels of one sequence from tile to tile of 16 tokens, 16 lanes a channel, which
// share its states; what comes from memory is read once, by whole lines, into shared memory. The lanes' parts of y of a tile are summed
// by exchanging halves, 15 exchanges for 16 tokens, and end where the next lane is the next token. The backward pass takes states
// from checkpoints, runs forwards to the beginnings of a chunk's tiles, then tile by tile back with the tile's states in registers.
// B and C act on all channels: their gradients are summed over a block in shared memory, then over blocks in a second launch.
//
// Floor, bytes per channel and token (bfloat16): forward 8 (v, Δ, z, y) + 1 (checkpoints), backward 14 + 1, and 8 of the sums
// over blocks, written and read. Exponentials per state: 1 forward, 1.75 backward; at 16 states they cost about as much.
// At most 64 states.
#pragma once

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

constexpr Index scan_blocks(Index batch, Index width) { return batch * quotient_up(width, scan_channels); }

template <class T, int per_lane>
struct SelectiveScanKernel {
  using C = Compute<T>;
  SelectiveScanForward<T> a;

  static constexpr int threads = scan_threads;
  Index blocks() const { return scan_blocks(a.batch, a.width); }
  static constexpr std::size_t shared_bytes() { return sizeof(ScanTile<C, per_lane>); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto& tile = *reinterpret_cast<ScanTile<C, per_lane>*>(block.shared);
    const ScanThread me = ScanThread::of(block.thread);
    const Index groups = quotient_up(a.width, scan_channels), chunks = quotient_up(a.length, scan_chunk);
    const Index batch = block.index / groups, first_channel = block.index % groups * scan_channels;
    const Index carried = first_channel + me.channel;
    C decay[per_lane], h[per_lane];
    scan_decays(a, carried, me.lane, decay);
    for (int k = 0; k < per_lane; ++k) {
      const int n = me.lane + k * scan_lanes;
      h[k] = a.initial && carried < a.width && n < a.states ? a.initial[(batch * a.width + carried) * a.states + n] : C(0);
    }
    const Index column = first_channel + me.column;
    const C skip = a.skip && column < a.width ? a.skip[column] : C(0);
    for (Index first = 0; first < a.length; first += scan_tile) {
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
    if (a.final)
      for (int k = 0; k < per_lane; ++k) {
        const int n = me.lane + k * scan_lanes;
        if (carried < a.width && n < a.states) a.final[(batch * a.width + carried) * a.states + n] = h[k];
      }
  }
};

/// What blocks leave for the launches that sum over them.
template <class C>
struct ScanPartials {
  C* modulators;  ///< (groups of channels, batch · length, 2, states): dB, dC
  C* da_log;      ///< (batch, width, states)
  C* dskip;       ///< (batch, width)
  C* dbias;       ///< (batch, width)
};

template <class T, int per_lane>
struct SelectiveScanBackwardKernel {
  using C = Compute<T>;
  SelectiveScanBackward<T> a;
  ScanPartials<C> partials;

  struct Shared {
    ScanTile<C, per_lane> tile;
    C modulators[scan_channels][scan_tile][scan_lanes];  ///< of one of dB, dC, 16 states at a time
  };

  static constexpr int threads = scan_threads;
  Index blocks() const { return scan_blocks(a.batch, a.width); }
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
    const Index groups = quotient_up(a.width, scan_channels), chunks = quotient_up(a.length, scan_chunk);
    const Index batch = block.index / groups, group = block.index % groups, first_channel = group * scan_channels;
    const Index carried = first_channel + me.channel, column = first_channel + me.column;
    const C skip = a.skip && column < a.width ? a.skip[column] : C(0);
    C decay[per_lane], flow[per_lane] = {}, da[per_lane] = {};
    scan_decays(a, carried, me.lane, decay);
    C dskip = C(0), dbias = C(0);
    for (Index chunk = chunks - 1; chunk >= 0; --chunk) {
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
        const C dy = mine.there ? C(a.dy[(token + me.token) * a.dy_stride + column]) : C(0);
        const C gate = sigmoid(mine.z);
        const C u = a.z ? dy * (mine.z * gate) : dy;
        tile.u[me.token][me.column] = u;
        block.wait();

        C states_before[scan_tile + 1][per_lane], factor[scan_tile][per_lane];
        for (int k = 0; k < per_lane; ++k) states_before[0][k] = start[i][k];
        for (int t = 0; t < scan_tile; ++t) {
          const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel];
          for (int k = 0; k < per_lane; ++k) {
            factor[t][k] = exponential2(step * decay[k]);
            states_before[t + 1][k] = factor[t][k] * states_before[t][k] + fed * tile.b[t][me.lane + k * scan_lanes];
          }
        }
        C y[scan_tile], through_b[scan_tile], through_decay[scan_tile];
        for (int t = scan_tile - 1; t >= 0; --t) {
          const C step = tile.step[t][me.channel], fed = step * tile.v[t][me.channel], of_y = tile.u[t][me.channel];
          y[t] = through_b[t] = through_decay[t] = C(0);
          for (int k = 0; k < per_lane; ++k) {
            const int n = me.lane + k * scan_lanes;
            const C whole = of_y * tile.c[t][n] + flow[k];
            const C moved = whole * factor[t][k];  // the gradient of the state before
            const C turned = moved * states_before[t][k];
            y[t] += states_before[t + 1][k] * tile.c[t][n];
            through_b[t] += whole * tile.b[t][n];
            through_decay[t] += turned * decay[k];
            da[k] += turned * step;
            factor[t][k] = whole * fed;  // dB of this channel; the decay is not needed any more
            flow[k] = moved;
          }
        }
        tile.out[0][me.lane][me.channel] = exchange_sums(block, me.lane, y);
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
    for (int k = 0; k < per_lane; ++k) {
      const int n = me.lane + k * scan_lanes;
      if (carried < a.width && n < a.states)
        partials.da_log[(batch * a.width + carried) * a.states + n] = da[k] * decay[k] * C(0.69314718055994530942);
    }
    tile.out[0][me.token][me.column] = dskip;
    tile.out[1][me.token][me.column] = dbias;
    block.wait();
    if (block.thread >= scan_channels || column >= a.width) return;
    for (int t = 1; t < scan_tile; ++t) {
      dskip += tile.out[0][t][me.column];
      dbias += tile.out[1][t][me.column];
    }
    partials.dskip[batch * a.width + column] = dskip;
    partials.dbias[batch * a.width + column] = dbias;
  }
};

template <int per_lane, class T, class Launcher>
void launch_scan(const SelectiveScanForward<T>& a, Launcher& launcher) {
  launcher.launch(SelectiveScanKernel<T, per_lane>{a});
}
template <int per_lane, class T, class Launcher>
void launch_scan(const SelectiveScanBackward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  const Index groups = quotient_up(a.width, scan_channels), rows = a.batch * a.width;
  const ScanPartials<C> partials{launcher.template scratch<C>(groups * a.batch * a.length * 2 * a.states),
                                 launcher.template scratch<C>(rows * a.states), launcher.template scratch<C>(rows),
                                 launcher.template scratch<C>(rows)};
  launcher.launch(SelectiveScanBackwardKernel<T, per_lane>{a, partials});
  launcher.launch(SumModulators<T, C>{partials.modulators, a.db, a.dc, groups, a.batch * a.length, a.states, a.db_stride, a.dc_stride});
  launcher.launch(SumPartials<C>{partials.da_log, a.da_log, a.batch, a.width * a.states});
  if (a.dskip) launcher.launch(SumPartials<C>{partials.dskip, a.dskip, a.batch, a.width});
  if (a.dbias) launcher.launch(SumPartials<C>{partials.dbias, a.dbias, a.batch, a.width});
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
