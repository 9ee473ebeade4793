#include "bench_floor.hpp"

#include <starling/kernels/dispatch.hpp>

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

namespace starling::kernels {
namespace {

using Clock = std::chrono::steady_clock;

/// Best rate of several runs of `work`, which does `amount` of something, per second.
template <class Work>
double best_rate(double amount, Work work) {
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    const auto begin = Clock::now();
    work();
    best = std::max(best, amount / std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

template <int bytes>
struct Vector {
  typedef float Type __attribute__((vector_size(bytes)));
};

template <int bytes>
[[gnu::always_inline]] inline float multiply_adds(int rounds) {
  using Lanes = typename Vector<bytes>::Type;
  Lanes sums[12];
  for (int k = 0; k < 12; ++k) sums[k] = Lanes{} + static_cast<float>(k);
  const Lanes factor = Lanes{} + 0.999f;
  const Lanes addend = Lanes{} + 0.001f;
  for (int r = 0; r < rounds; ++r)
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) sums[k] = sums[k] * factor + addend;
  for (int k = 1; k < 12; ++k) sums[0] += sums[k];
  return sums[0][0];
}

#if defined(__x86_64__)
[[gnu::target("arch=x86-64-v4")]] float multiply_adds_v4(int rounds) { return multiply_adds<64>(rounds); }
[[gnu::target("arch=x86-64-v3")]] float multiply_adds_v3(int rounds) { return multiply_adds<32>(rounds); }
#endif
float multiply_adds_baseline(int rounds) { return multiply_adds<16>(rounds); }

}  // namespace

double peak_flops() {
  static const double peak = [] {
    constexpr int rounds = 100000;
    float (*work)(int) = multiply_adds_baseline;
    double lanes = 4;
#if defined(__x86_64__)
    if (active_level() == Level::v3) work = multiply_adds_v3, lanes = 8;
    if (active_level() == Level::v4) work = multiply_adds_v4, lanes = 16;
#endif
    return best_rate(rounds * 12.0 * 2 * lanes, [&] { benchmark::DoNotOptimize(work(rounds)); });
  }();
  return peak;
}

double copy_bandwidth(double footprint) {
  static std::map<int, double> known;
  const int magnitude = std::max(14, static_cast<int>(std::log2(footprint)));
  const auto found = known.find(magnitude);
  if (found != known.end()) return found->second;
  const std::size_t half = std::size_t{1} << (magnitude - 1);
  std::vector<char> from(half, 1), to(half);
  const double rate = best_rate(2.0 * static_cast<double>(half), [&] {
    std::memcpy(to.data(), from.data(), half);
    benchmark::ClobberMemory();
  });
  return known[magnitude] = rate;
}

}  // namespace starling::kernels
