// What the two passes of the selective scan share: channels lie across lanes, one block of channels at a time. Only for
// x_cpu.cpp.
#pragma once

#include <starling/kernels/elementary.hpp>

namespace starling::kernels {
namespace {

/// A log₂ e of a block of channels, so that the decay is 2^(Δ · that); 0 in lanes past the last channel. a_log:
/// (channels, states).
template <class T>
void gather_decay(const T* a_log, std::int64_t channels, std::int64_t states, Pack<T>* decay) {
  for (std::int64_t n = 0; n < states; ++n) {
    Pack<T> log{};
    Pack<T> factor{};
    for (std::int64_t lane = 0; lane < smaller(channels, lanes<T>); ++lane) {
      log[lane] = a_log[lane * states + n];
      factor[lane] = T(-log2_of_e);
    }
    decay[n] = exponential<T>(log) * factor;
  }
}

/// How many states: a constant the compiler can unroll by, or, where fixed is 0, the number given.
template <int fixed>
constexpr std::int64_t state_count(std::int64_t states) {
  return fixed ? fixed : states;
}

}  // namespace
}  // namespace starling::kernels
