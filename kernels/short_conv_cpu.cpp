#include <starling/kernels/short_conv.hpp>

#include <starling/kernels/elementary.hpp>
#include <starling/kernels/scratch.hpp>

#include <cassert>

namespace starling::kernels {
namespace {

/// The taps of one block of channels as packs, tap by tap: weight is (channels, taps).
template <class T>
void gather_taps(const T* weight, std::int64_t channels, std::int64_t taps, Pack<T>* packs) {
  for (std::int64_t j = 0; j < taps; ++j) {
    Pack<T> pack{};
    for (std::int64_t lane = 0; lane < smaller(channels, lanes<T>); ++lane) pack[lane] = weight[lane * taps + j];
    packs[j] = pack;
  }
}

/// Input t of a block of channels; t may reach taps − 1 tokens before the sequence.
template <class T>
[[gnu::always_inline]] inline Pack<T> input(const T* x, std::int64_t stride, const Compute<T>* initial, std::int64_t channels,
                                            std::int64_t history, std::int64_t t, std::int64_t n) {
  if (t >= 0) return load(x + t * stride, n);
  return initial ? load(initial + (history + t) * channels, n) : Pack<T>{};
}

template <int taps, class T>
void forward(const ShortConvForward<T>& a) {
  constexpr std::int64_t history = taps - 1;
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    for (std::int64_t c = 0; c < a.channels; c += lanes<T>) {
      const std::int64_t n = a.channels - c;
      const T* x = a.x + batch * a.length * a.x_stride + c;
      T* y = a.y + batch * a.length * a.y_stride + c;
      const Compute<T>* initial = a.initial ? a.initial + batch * history * a.channels + c : nullptr;
      Pack<T> weight[taps];
      gather_taps(a.weight + c * taps, n, taps, weight);
      Pack<T> seen[taps];  // seen[j] meets tap j
      for (std::int64_t j = 0; j < history; ++j) seen[j + 1] = input(x, a.x_stride, initial, a.channels, history, j - history, n);
      for (std::int64_t t = 0; t < a.length; ++t) {
        for (std::int64_t j = 0; j < history; ++j) seen[j] = seen[j + 1];
        seen[history] = load(x + t * a.x_stride, n);
        Pack<T> s = weight[0] * seen[0];
        for (std::int64_t j = 1; j < taps; ++j) s = weight[j] * seen[j] + s;
        if (a.activation == ShortConvActivation::silu) s = s * sigmoid<Compute<T>>(s);
        store(y + t * a.y_stride, s, n);
      }
      // seen[1 …] are the last inputs, whatever the length; written last because final may be initial.
      if (a.final)
        for (std::int64_t j = 0; j < history; ++j) store(a.final + (batch * history + j) * a.channels + c, seen[j + 1], n);
    }
  }
}

template <int taps, class T>
void backward(const ShortConvBackward<T>& a) {
  constexpr std::int64_t history = taps - 1;
  for (std::int64_t c = 0; c < a.channels; c += lanes<T>) {
    const std::int64_t n = a.channels - c;
    Pack<T> weight[taps];
    gather_taps(a.weight + c * taps, n, taps, weight);
    Pack<T> dweight[taps] = {};
    for (std::int64_t batch = 0; batch < a.batch; ++batch) {
      const T* x = a.x + batch * a.length * a.x_stride + c;
      const T* dy = a.dy + batch * a.length * a.dy_stride + c;
      T* dx = a.dx + batch * a.length * a.dx_stride + c;
      const Compute<T>* initial = a.initial ? a.initial + batch * history * a.channels + c : nullptr;
      Pack<T> seen[taps];
      for (std::int64_t j = 0; j < history; ++j) seen[j + 1] = input(x, a.x_stride, initial, a.channels, history, j - history, n);
      Pack<T> ds[taps] = {};  // gradients of the sums at t, t − 1, …: input t − history takes part in all of them
      for (std::int64_t t = 0; t < a.length + history; ++t) {
        for (std::int64_t j = history; j > 0; --j) ds[j] = ds[j - 1];
        ds[0] = Pack<T>{};
        if (t < a.length) {
          for (std::int64_t j = 0; j < history; ++j) seen[j] = seen[j + 1];
          seen[history] = load(x + t * a.x_stride, n);
          ds[0] = load(dy + t * a.dy_stride, n);
          if (a.activation == ShortConvActivation::silu) {
            Pack<T> s = weight[0] * seen[0];
            for (std::int64_t j = 1; j < taps; ++j) s = weight[j] * seen[j] + s;
            const Pack<T> gate = sigmoid<Compute<T>>(s);
            ds[0] *= gate * (s * (Compute<T>(1) - gate) + Compute<T>(1));
          }
          for (std::int64_t j = 0; j < taps; ++j) dweight[j] = ds[0] * seen[j] + dweight[j];
        }
        if (t < history) continue;
        // Output t − j met input t − history with tap j; its gradient is ds[j].
        Pack<T> total = weight[0] * ds[0];
        for (std::int64_t j = 1; j < taps; ++j) total = weight[j] * ds[j] + total;
        store(dx + (t - history) * a.dx_stride, total, n);
      }
    }
    for (std::int64_t j = 0; j < taps; ++j)
      for (std::int64_t lane = 0; lane < smaller(n, lanes<T>); ++lane) a.dweight[(c + lane) * taps + j] += dweight[j][lane];
  }
}

/// Calls run(std::integral_constant<int, taps>) for the number at hand.
template <class Run>
void with_taps(std::int64_t taps, Run run) {
  assert(taps >= 1 && taps <= max_short_conv_taps);
  switch (taps) {
    case 1:
      return run(std::integral_constant<int, 1>{});
    case 2:
      return run(std::integral_constant<int, 2>{});
    case 3:
      return run(std::integral_constant<int, 3>{});
    case 4:
      return run(std::integral_constant<int, 4>{});
    case 5:
      return run(std::integral_constant<int, 5>{});
    case 6:
      return run(std::integral_constant<int, 6>{});
    case 7:
      return run(std::integral_constant<int, 7>{});
    default:
      return run(std::integral_constant<int, 8>{});
  }
}

}  // namespace

template <Level level, class T>
void execute(const ShortConvForward<T>& a) {
  with_taps(a.taps, [&](auto taps) { forward<decltype(taps)::value>(a); });
}

template <Level level, class T>
void execute(const ShortConvBackward<T>& a) {
  with_taps(a.taps, [&](auto taps) { backward<decltype(taps)::value>(a); });
}

template void execute<here>(const ShortConvForward<float>&);
template void execute<here>(const ShortConvForward<double>&);
template void execute<here>(const ShortConvForward<bfloat16>&);
template void execute<here>(const ShortConvBackward<float>&);
template void execute<here>(const ShortConvBackward<double>&);
template void execute<here>(const ShortConvBackward<bfloat16>&);

}  // namespace starling::kernels
