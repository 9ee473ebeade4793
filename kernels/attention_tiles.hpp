// What the two passes of attention share: who sees whom, and packing of heads for tile_product. Only for x_cpu.cpp.
#pragma once

#include <starling/kernels/activations.hpp>
#include <starling/kernels/attention.hpp>
#include <starling/kernels/elementary.hpp>
#include <starling/kernels/scratch.hpp>
#include <starling/kernels/tile_product.hpp>

namespace starling::kernels {
namespace {

/// Query i sees the keys [first(i), past(i)).
struct Visibility {
  std::int64_t offset = 0;  ///< keys − queries
  std::int64_t window = 0;
  std::int64_t block = 0;

  template <class Arguments>
  static Visibility of(const Arguments& a) {
    return {a.keys - a.queries, a.window, a.block};
  }

  std::int64_t past(std::int64_t query) const { return query + offset + 1; }
  std::int64_t first(std::int64_t query) const {
    if (block > 0) return (query + offset) / block * block;
    return window > 0 ? larger(past(query) - window, 0) : 0;
  }
  /// Some query of [q0, q1) sees some key of [k0, k1).
  bool any(std::int64_t q0, std::int64_t q1, std::int64_t k0, std::int64_t k1) const { return k0 < past(q1 - 1) && k1 > first(q0); }
  /// Every query of [q0, q1) sees every key of [k0, k1).
  bool all(std::int64_t q0, std::int64_t q1, std::int64_t k0, std::int64_t k1) const { return k1 <= past(q0) && k0 >= first(q1 - 1); }
};

/// 0, 1, 2, … as lanes.
template <class T>
[[gnu::always_inline]] inline PackBits<T> lane_numbers() {
  PackBits<T> numbers{};
  for (std::int64_t i = 0; i < lanes<T>; ++i) numbers[i] = static_cast<typename Integer<T>::Type>(i);
  return numbers;
}

/// True in the lanes of the keys key, key + 1, … that lie in [first, past).
template <class T>
[[gnu::always_inline]] inline PackBits<T> visible_lanes(PackBits<T> numbers, std::int64_t key, std::int64_t first, std::int64_t past) {
  using I = typename Integer<T>::Type;
  return (numbers < static_cast<I>(past - key)) & (numbers >= static_cast<I>(first - key));
}

/// Whether a score is a function of itself alone, divided by the number of keys.
constexpr bool is_pointwise(AttentionScore score) { return score != AttentionScore::softmax && score != AttentionScore::linear; }

/// Calls run(std::integral_constant) with the nonlinearity of a score that is not softmax.
template <class Run>
[[gnu::always_inline]] inline void with_activation(AttentionScore score, Run run) {
  switch (score) {
    case AttentionScore::relu:
      return run(std::integral_constant<Gate, Gate::relu>{});
    case AttentionScore::silu:
      return run(std::integral_constant<Gate, Gate::silu>{});
    case AttentionScore::gelu:
      return run(std::integral_constant<Gate, Gate::gelu>{});
    default:
      return run(std::integral_constant<Gate, Gate::identity>{});
  }
}

/// rows × columns of `from` to rows of whole packs at `to`, zero behind.
template <class T>
void pack_rows(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, Compute<T>* to) {
  const std::int64_t width = padded<T>(columns);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < columns; i += lanes<T>) store(to + r * width + i, load(from + r * stride + i, columns - i));
}

/// The transpose of rows × columns of `from`, tile by tile of `tile` rows: tile number, column, row in the tile; zero
/// past the last row.
template <class T>
void pack_transposed(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, std::int64_t tile, Compute<T>* to) {
  for (std::int64_t r0 = 0; r0 < rows; r0 += tile, to += tile * columns) {
    const std::int64_t filled = smaller(tile, rows - r0);
    if (filled < tile) __builtin_memset(to, 0, static_cast<std::size_t>(tile * columns) * sizeof(Compute<T>));
    for (std::int64_t r = 0; r < filled; ++r)
      for (std::int64_t i = 0; i < columns; ++i) to[i * tile + r] = from[(r0 + r) * stride + i];
  }
}

template <class T>
void unpack_rows(const Compute<T>* from, std::int64_t rows, std::int64_t columns, T* to, std::int64_t stride) {
  const std::int64_t width = padded<T>(columns);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < columns; i += lanes<T>) store(to + r * stride + i, load(from + r * width + i), columns - i);
}

constexpr std::int64_t rounded_up(std::int64_t count, std::int64_t to) { return (count + to - 1) / to * to; }

/// Hands out pieces of one scratch allocation, each of whole packs.
template <class T>
class Arena {
 public:
  explicit Arena(std::int64_t elements) : next_(static_cast<T*>(scratch_bytes(static_cast<std::size_t>(elements) * sizeof(T)))) {}
  T* take(std::int64_t elements) {
    T* taken = next_;
    next_ += padded<T>(elements);
    return taken;
  }

 private:
  T* next_;
};

}  // namespace
}  // namespace starling::kernels
