#include <starling/kernels/diagonal_scan.hpp>

#include <starling/kernels/simd.hpp>

namespace starling::kernels {
namespace {

/// Channels carried together: enough packs to hide the latency of the recurrence, and whole cache lines per token.
constexpr std::int64_t packs = 4;

}  // namespace

template <Level level, class T>
void execute(const DiagonalScanForward<T>& s) {
  constexpr std::int64_t block = packs * lanes<T>;
  for (std::int64_t batch = 0; batch < s.batch; ++batch) {
    for (std::int64_t c = 0; c < s.channels; c += block) {
      Pack<T> h[packs] = {};
      if (s.initial)
        for (std::int64_t k = 0; k < packs; ++k) {
          const std::int64_t at = c + k * lanes<T>;
          if (at < s.channels) h[k] = load(s.initial + batch * s.channels + at, s.channels - at);
        }
      for (std::int64_t t = 0; t < s.length; ++t) {
        const std::int64_t row = (batch * s.length + t) * s.channels;
        for (std::int64_t k = 0; k < packs; ++k) {
          const std::int64_t at = c + k * lanes<T>;
          if (at >= s.channels) break;
          const std::int64_t n = s.channels - at;
          h[k] = load(s.a + row + at, n) * h[k] + load(s.b + row + at, n);
          store(s.h + row + at, h[k], n);
        }
      }
      if (s.final)
        for (std::int64_t k = 0; k < packs; ++k) {
          const std::int64_t at = c + k * lanes<T>;
          if (at < s.channels) store(s.final + batch * s.channels + at, h[k], s.channels - at);
        }
    }
  }
}

template <Level level, class T>
void execute(const DiagonalScanBackward<T>& s) {
  constexpr std::int64_t block = packs * lanes<T>;
  for (std::int64_t batch = 0; batch < s.batch; ++batch) {
    for (std::int64_t c = 0; c < s.channels; c += block) {
      Pack<T> carried[packs] = {};  // a_{t+1} g_{t+1}
      for (std::int64_t t = s.length - 1; t >= 0; --t) {
        const std::int64_t row = (batch * s.length + t) * s.channels;
        const T* before = t > 0 ? s.h + row - s.channels : nullptr;
        const Compute<T>* initial = t == 0 && s.initial ? s.initial + batch * s.channels : nullptr;
        for (std::int64_t k = 0; k < packs; ++k) {
          const std::int64_t at = c + k * lanes<T>;
          if (at >= s.channels) break;
          const std::int64_t n = s.channels - at;
          const Pack<T> g = load(s.dh + row + at, n) + carried[k];
          store(s.da + row + at, before ? g * load(before + at, n) : initial ? g * load(initial + at, n) : Pack<T>{}, n);
          store(s.db + row + at, g, n);
          carried[k] = load(s.a + row + at, n) * g;
        }
      }
      if (s.dinitial)
        for (std::int64_t k = 0; k < packs; ++k) {
          const std::int64_t at = c + k * lanes<T>;
          if (at < s.channels) store(s.dinitial + batch * s.channels + at, carried[k], s.channels - at);
        }
    }
  }
}

template void execute<here>(const DiagonalScanForward<float>&);
template void execute<here>(const DiagonalScanForward<double>&);
template void execute<here>(const DiagonalScanForward<bfloat16>&);
template void execute<here>(const DiagonalScanBackward<float>&);
template void execute<here>(const DiagonalScanBackward<double>&);
template void execute<here>(const DiagonalScanBackward<bfloat16>&);

}  // namespace starling::kernels
