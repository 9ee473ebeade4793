// Short convolution on a device: a thread carries neighbouring channels along a segment of the sequence with the last inputs in
// registers; it reads taps − 1 tokens that its neighbour reads too. In the backward pass sums over tokens stay in registers, too,
// and meet those of other segments in a second launch.
//
// Floor, bytes per element (bfloat16): forward 4, backward 6 (x, dy, dx).
#pragma once

#include <starling/kernels/device_segments.hpp>
#include <starling/kernels/device_sums.hpp>
#include <starling/kernels/short_conv.hpp>

namespace starling::kernels::device {

constexpr int conv_tokens_under_way = 4;
constexpr Index shortest_conv_segment = 32;

/// taps = 0: as many as the arguments say. What a thread holds has room for `room`.
template <int taps>
inline constexpr int conv_room = taps == 0 ? static_cast<int>(max_short_conv_taps) : taps;

/// Input t, which may lie up to taps − 1 tokens before the sequence.
template <int n, class Arguments, class C>
STARLING_DEVICE void conv_input(const Arguments& a, Index batch, Index channel, Index t, C* to) {
  if (t >= 0) return load<n>(a.x + (batch * a.length + t) * a.x_stride + channel, to);
  const Index history = a.taps - 1;
  for (int i = 0; i < n; ++i) to[i] = a.initial ? a.initial[(batch * history + history + t) * a.channels + channel + i] : C(0);
}

template <int taps, int n, class Arguments, class C>
STARLING_DEVICE void conv_weights(const Arguments& a, Index channel, C (&weight)[conv_room<taps>][n]) {
  for (int j = 0; j < conv_room<taps>; ++j)
    for (int i = 0; i < n; ++i) weight[j][i] = j < a.taps ? a.weight[(channel + i) * a.taps + j] : C(0);
}

template <class T, int taps, int n>
struct Convolve {
  ShortConvForward<T> a;
  Segments segments;

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(a.batch * segments.count * (a.channels / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    using C = Compute<T>;
    constexpr int room = conv_room<taps>;
    const auto [batch, segment, channel] = SegmentPlace::of<n>(block.item(), segments.count, a.channels);
    if (batch >= a.batch) return;
    const int used = taps == 0 ? static_cast<int>(a.taps) : taps;
    const Index begin = segment * segments.length, end = least(begin + segments.length, a.length);
    C weight[room][n], seen[room][n] = {};  // seen[j] meets tap j
    conv_weights<taps, n>(a, channel, weight);
    for (int j = 0; j < room - 1; ++j)
      if (j < used - 1) conv_input<n>(a, batch, channel, begin - (used - 1) + j, seen[j + 1]);
    for (Index first = begin; first < end; first += conv_tokens_under_way) {
      C inputs[conv_tokens_under_way][n] = {};
      for (int k = 0; k < conv_tokens_under_way; ++k)
        if (first + k < end) conv_input<n>(a, batch, channel, first + k, inputs[k]);
      for (int k = 0; k < conv_tokens_under_way; ++k) {
        C y[n];
        for (int i = 0; i < n; ++i) {
          for (int j = 0; j < room - 1; ++j)
            if (j < used - 1 && first + k < end) seen[j][i] = seen[j + 1][i];
          C s = C(0);
          for (int j = 0; j < room; ++j) {
            if (j == used - 1 && first + k < end) seen[j][i] = inputs[k][i];
            if (j < used) s += weight[j][i] * seen[j][i];
          }
          y[i] = a.activation == ShortConvActivation::silu ? s * sigmoid(s) : s;
        }
        if (first + k < end) store<n>(a.y + (batch * a.length + first + k) * a.y_stride + channel, y);
      }
    }
    if (a.final && segment == segments.count - 1)
      for (int j = 0; j < room - 1; ++j)
        if (j < used - 1)
          for (int i = 0; i < n; ++i) a.final[(batch * (used - 1) + j) * a.channels + channel + i] = seen[j + 1][i];
  }
};

template <class T, int taps, int n>
struct ConvolveBackward {
  using C = Compute<T>;
  ShortConvBackward<T> a;
  Segments segments;
  C* partials;  // (batch · segments, channels, taps)

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(a.batch * segments.count * (a.channels / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    constexpr int room = conv_room<taps>;
    const auto [batch, segment, channel] = SegmentPlace::of<n>(block.item(), segments.count, a.channels);
    if (batch >= a.batch) return;
    const int used = taps == 0 ? static_cast<int>(a.taps) : taps;
    const Index begin = segment * segments.length, end = least(begin + segments.length, a.length);
    C weight[room][n], seen[room][n] = {}, dweight[room][n] = {};
    C ds[room][n] = {};  // gradients of the sums at t, t − 1, …
    conv_weights<taps, n>(a, channel, weight);
    for (int j = 0; j < room - 1; ++j)
      if (j < used - 1) conv_input<n>(a, batch, channel, begin - (used - 1) + j, seen[j + 1]);
    for (Index first = begin; first < end + used - 1; first += conv_tokens_under_way) {
      C inputs[conv_tokens_under_way][n] = {}, dy[conv_tokens_under_way][n] = {};
      for (int k = 0; k < conv_tokens_under_way; ++k) {
        const Index t = first + k;
        if (t >= end + used - 1 || t >= a.length) break;
        conv_input<n>(a, batch, channel, t, inputs[k]);
        load<n>(a.dy + (batch * a.length + t) * a.dy_stride + channel, dy[k]);
      }
      for (int k = 0; k < conv_tokens_under_way; ++k) {
        const Index t = first + k;
        if (t >= end + used - 1) break;
        C dx[n];
        for (int i = 0; i < n; ++i) {
          C s = C(0);
          for (int j = 0; j < room - 1; ++j)
            if (j < used - 1) seen[j][i] = seen[j + 1][i];
          for (int j = 0; j < room; ++j) {
            if (j == used - 1) seen[j][i] = inputs[k][i];
            if (j < used) s += weight[j][i] * seen[j][i];
          }
          for (int j = room - 1; j > 0; --j) ds[j][i] = ds[j - 1][i];
          ds[0][i] = C(0);
          if (t < a.length) {
            ds[0][i] = dy[k][i];
            if (a.activation == ShortConvActivation::silu) {
              const C gate = sigmoid(s);
              ds[0][i] *= gate * (s * (C(1) - gate) + C(1));
            }
          }
          // Tokens behind the segment count for dx alone: the next thread has them for dweight.
          if (t < end)
            for (int j = 0; j < room; ++j)
              if (j < used) dweight[j][i] += ds[0][i] * seen[j][i];
          dx[i] = C(0);
          for (int j = 0; j < room; ++j)
            if (j < used) dx[i] += weight[j][i] * ds[j][i];
        }
        const Index of = t - (used - 1);
        if (of >= begin) store<n>(a.dx + (batch * a.length + of) * a.dx_stride + channel, dx);
      }
    }
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < room; ++j)
        if (j < used) partials[((batch * segments.count + segment) * a.channels + channel + i) * a.taps + j] = dweight[j][i];
  }
};

template <int taps, int n, class T, class Launcher>
void launch_conv(const ShortConvForward<T>& a, Launcher& launcher) {
  // Segments side by side would read `initial` while another writes it.
  const bool in_place = a.final && a.final == a.initial;
  const Segments segments = in_place ? Segments{1, a.length} : segments_of(a.batch * a.channels / n, a.length, shortest_conv_segment);
  launcher.launch(Convolve<T, taps, n>{a, segments});
}
template <int taps, int n, class T, class Launcher>
void launch_conv(const ShortConvBackward<T>& a, Launcher& launcher) {
  const Segments segments = segments_of(a.batch * a.channels / n, a.length, shortest_conv_segment);
  const Index rows = a.batch * segments.count, width = a.channels * a.taps;
  auto* const partials = launcher.template scratch<Compute<T>>(rows * width);
  launcher.launch(ConvolveBackward<T, taps, n>{a, segments, partials});
  launcher.launch(SumPartials<Compute<T>>{partials, a.dweight, rows, width});
}
template <class Arguments, class Launcher>
void launch_conv_taps(const Arguments& a, bool bundles, Launcher& launcher) {
  if (a.batch == 0 || a.channels == 0) return;
  if (bundles && a.taps == 3) return launch_conv<3, 2>(a, launcher);
  if (bundles && a.taps == 4) return launch_conv<4, 2>(a, launcher);
  launch_conv<0, 1>(a, launcher);
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const ShortConvForward<T>& a, Launcher& launcher) {
  device::launch_conv_taps(a, device::all_aligned<2>(a.x, a.y, a.channels, a.x_stride, a.y_stride), launcher);
}
template <class T, class Launcher>
void launch_all(const ShortConvBackward<T>& a, Launcher& launcher) {
  device::launch_conv_taps(a, device::all_aligned<2>(a.x, a.dy, a.dx, a.channels, a.x_stride, a.dy_stride, a.dx_stride), launcher);
}

}  // namespace starling::kernels
