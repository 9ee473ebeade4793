// The diagonal scan on a device. A thread carries neighbouring channels through a segment of the sequence, so that a warp reads
// whole lines; loads of several tokens are under way together. Where batch × channels alone keep a device busy a sequence is one
// segment: one launch, every byte moved once. Else three launches: what each segment makes of a state (its decays' product and
// its end from zero), the states between segments, the segments again from these. The split depends on the shape alone.
//
// Floor, bytes per element (float): forward 12 (a, b, h), backward 24 (a, h, dh, da, db, and h of the token before from cache: 20);
// split, a and b (a and dh) are read twice.
#pragma once

#include <starling/kernels/device_segments.hpp>
#include <starling/kernels/diagonal_scan.hpp>

namespace starling::kernels::device {

inline constexpr int tokens_under_way = 8;

/// Tokens [begin, end) of one thread, n channels: h from `h` on, and, where `product` is given, nothing written but it.
template <int n, bool reduces, class T>
STARLING_DEVICE void scan_forwards(const DiagonalScanForward<T>& s, Index batch, Index channel, Index begin, Index end, Compute<T>* h,
                                   Compute<T>* product) {
  using C = Compute<T>;
  for (Index first = begin; first < end; first += tokens_under_way) {
    C a[tokens_under_way][n] = {}, b[tokens_under_way][n] = {};
    const Index row = (batch * s.length + first) * s.channels + channel;
    for (int k = 0; k < tokens_under_way; ++k) {
      if (first + k >= end) break;
      load<n>(s.a + row + k * s.channels, a[k]);
      load<n>(s.b + row + k * s.channels, b[k]);
    }
    for (int k = 0; k < tokens_under_way; ++k) {
      if (first + k >= end) break;
      for (int i = 0; i < n; ++i) {
        h[i] = a[k][i] * h[i] + b[k][i];
        if constexpr (reduces) product[i] *= a[k][i];
      }
      if constexpr (!reduces) store<n>(s.h + row + k * s.channels, h);
    }
  }
}

/// The same from the last token: `flow` is a_{t+1} g_{t+1}.
template <int n, bool reduces, class T>
STARLING_DEVICE void scan_backwards(const DiagonalScanBackward<T>& s, Index batch, Index channel, Index begin, Index end, Compute<T>* flow,
                                    Compute<T>* product) {
  using C = Compute<T>;
  for (Index last = end - 1; last >= begin; last -= tokens_under_way) {
    C a[tokens_under_way][n] = {}, dh[tokens_under_way][n] = {}, before[tokens_under_way][n] = {};
    const Index row = (batch * s.length + last) * s.channels + channel;
    for (int k = 0; k < tokens_under_way; ++k) {
      if (last - k < begin) break;
      load<n>(s.a + row - k * s.channels, a[k]);
      load<n>(s.dh + row - k * s.channels, dh[k]);
      if constexpr (!reduces) {
        if (last - k > 0) {
          load<n>(s.h + row - (k + 1) * s.channels, before[k]);
        } else {
          for (int i = 0; i < n; ++i) before[k][i] = s.initial ? s.initial[batch * s.channels + channel + i] : C(0);
        }
      }
    }
    for (int k = 0; k < tokens_under_way; ++k) {
      if (last - k < begin) break;
      C g[n], da[n] = {};
      for (int i = 0; i < n; ++i) {
        g[i] = dh[k][i] + flow[i];
        flow[i] = a[k][i] * g[i];
        if constexpr (reduces)
          product[i] *= a[k][i];
        else
          da[i] = last - k > 0 || s.initial ? g[i] * before[k][i] : C(0);
      }
      if constexpr (!reduces) {
        store<n>(s.da + row - k * s.channels, da);
        store<n>(s.db + row - k * s.channels, g);
      }
    }
  }
}

template <class T>
STARLING_DEVICE constexpr bool goes_backwards(const DiagonalScanForward<T>&) {
  return false;
}
template <class T>
STARLING_DEVICE constexpr bool goes_backwards(const DiagonalScanBackward<T>&) {
  return true;
}
template <int n, bool reduces, class T>
STARLING_DEVICE void scan(const DiagonalScanForward<T>& s, Index batch, Index channel, Span span, Compute<T>* state, Compute<T>* product) {
  scan_forwards<n, reduces>(s, batch, channel, span.begin, span.end, state, product);
}
template <int n, bool reduces, class T>
STARLING_DEVICE void scan(const DiagonalScanBackward<T>& s, Index batch, Index channel, Span span, Compute<T>* state, Compute<T>* product) {
  scan_backwards<n, reduces>(s, batch, channel, span.begin, span.end, state, product);
}
/// Where the scan begins and what becomes of its last state.
template <class T>
STARLING_DEVICE const Compute<T>* first_state(const DiagonalScanForward<T>& s) {
  return s.initial;
}
template <class T>
STARLING_DEVICE const Compute<T>* first_state(const DiagonalScanBackward<T>&) {
  return nullptr;
}
template <class T>
STARLING_DEVICE Compute<T>* last_state(const DiagonalScanForward<T>& s) {
  return s.final;
}
template <class T>
STARLING_DEVICE Compute<T>* last_state(const DiagonalScanBackward<T>& s) {
  return s.dinitial;
}

/// What every segment but the last makes of a state.
template <class Arguments, class C, int n>
struct ReduceSegments {
  Arguments scan_arguments;
  Segments segments;
  SegmentStates<C> states;

  static constexpr int threads = 128;
  Index items() const { return scan_arguments.batch * (segments.count - 1) * (scan_arguments.channels / n); }
  Index blocks() const { return quotient_up(items(), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const auto& s = scan_arguments;
    const auto [batch, segment, channel] = SegmentPlace::of<n>(block.item(), segments.count - 1, s.channels);
    if (batch >= s.batch) return;
    C state[n], product[n];
    for (int i = 0; i < n; ++i) state[i] = C(0), product[i] = C(1);
    scan<n, true>(s, batch, channel, span_of(segments, segment, s.length, goes_backwards(s)), state, product);
    const Index at = (batch * segments.count + segment) * s.channels + channel;
    store<n>(states.end + at, state);
    store<n>(states.product + at, product);
  }
};

/// Every segment from its state on.
template <class Arguments, class C, int n>
struct ApplySegments {
  Arguments scan_arguments;
  Segments segments;
  const C* before;  // null where there is one segment

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(scan_arguments.batch * segments.count * (scan_arguments.channels / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const auto& s = scan_arguments;
    const auto [batch, segment, channel] = SegmentPlace::of<n>(block.item(), segments.count, s.channels);
    if (batch >= s.batch) return;
    const C* from = before           ? before + (batch * segments.count + segment) * s.channels
                    : first_state(s) ? first_state(s) + batch * s.channels
                                     : nullptr;
    C state[n];
    for (int i = 0; i < n; ++i) state[i] = from ? from[channel + i] : C(0);
    scan<n, false>(s, batch, channel, span_of(segments, segment, s.length, goes_backwards(s)), state, static_cast<C*>(nullptr));
    if (last_state(s) && segment == segments.count - 1)
      for (int i = 0; i < n; ++i) last_state(s)[batch * s.channels + channel + i] = state[i];
  }
};

template <int n, class C, class Arguments, class Launcher>
void run_segments(const Arguments& s, Launcher& launcher) {
  if (s.batch == 0 || s.channels == 0) return;
  const Segments segments = segments_of(s.batch * s.channels / n, s.length, 64);
  SegmentStates<C> states{};
  if (segments.count > 1) {
    states = segment_states<C>(s.batch, segments, s.channels, launcher);
    launcher.launch(ReduceSegments<Arguments, C, n>{s, segments, states});
    launcher.launch(CarrySegments<C>{states, first_state(s), s.batch, segments.count, s.channels});
  }
  launcher.launch(ApplySegments<Arguments, C, n>{s, segments, states.before});
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const DiagonalScanForward<T>& s, Launcher& launcher) {
  if (device::all_aligned<2>(s.a, s.b, s.h, s.channels)) return device::run_segments<2, Compute<T>>(s, launcher);
  device::run_segments<1, Compute<T>>(s, launcher);
}
template <class T, class Launcher>
void launch_all(const DiagonalScanBackward<T>& s, Launcher& launcher) {
  if (device::all_aligned<2>(s.a, s.h, s.dh, s.da, s.db, s.channels)) return device::run_segments<2, Compute<T>>(s, launcher);
  device::run_segments<1, Compute<T>>(s, launcher);
}

}  // namespace starling::kernels
