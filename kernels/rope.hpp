// Rotary position embedding (Su et al. 2021, arXiv 2104.09864), the pairing of halves (i, i + half) with half =
// head_width / 2:
//   θ = (position + t) · base^(−i / half),  y_i = x_i cos θ − x_{i+half} sin θ,  y_{i+half} = x_{i+half} cos θ + x_i
//   sin θ.
// The backward pass is the rotation by −θ: the same call on dy with inverse = true. One thread per call. float,
// double and bfloat16 (with tables in float).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// Fills cosine, sine: (length, head_width / 2) for the positions position … position + length − 1. Angles are computed
/// in double, so that far positions stay exact. The table depends on nothing else: make it once per sequence length.
template <class T>
void rope_table(T* cosine, T* sine, std::int64_t position, std::int64_t length, std::int64_t head_width, double base = 10000.0);

/// x, y: (batch, length, heads, head_width), head_width even and contiguous; strides in elements. y may be x (same
/// strides).
template <class T>
struct Rope {
  const T* x = nullptr;
  T* y = nullptr;
  const Compute<T>* cosine = nullptr;
  const Compute<T>* sine = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t heads = 0;
  std::int64_t head_width = 0;
  std::int64_t x_batch_stride = 0;
  std::int64_t x_token_stride = 0;
  std::int64_t x_head_stride = 0;
  std::int64_t y_batch_stride = 0;
  std::int64_t y_token_stride = 0;
  std::int64_t y_head_stride = 0;
  bool inverse = false;
};

template <Level level, class T>
void execute(const Rope<T>& arguments);

template <class T>
void rope(const Rope<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
