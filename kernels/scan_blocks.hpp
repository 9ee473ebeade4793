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

/// Rows of a chunk that are read number by number: where they lie, or, of bfloat16, widened to `scratch`.
template <class C>
struct ChunkRows {
  const C* data;
  std::int64_t stride;
};
template <class T>
ChunkRows<Compute<T>> rows_to_compute(const T* rows, std::int64_t stride, std::int64_t count, std::int64_t width,
                                      [[maybe_unused]] Compute<T>* scratch) {
  if constexpr (sizeof(T) == sizeof(Compute<T>)) {
    return {rows, stride};
  } else {
    for (std::int64_t r = 0; r < count; ++r)
      for (std::int64_t i = 0; i < width; i += lanes<T>) store(scratch + r * width + i, load(rows + r * stride + i, width - i), width - i);
    return {scratch, width};
  }
}

/// How many states: a constant the compiler can unroll by, or, where fixed is 0, the number given.
template <int fixed>
constexpr std::int64_t state_count(std::int64_t states) {
  return fixed ? fixed : states;
}

}  // namespace
}  // namespace starling::kernels
