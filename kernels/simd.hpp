// Packs: as many numbers as one register of the level holds, by the vector extension that GCC and Clang share. Only for
// x_cpu.cpp. Everything is in an unnamed namespace, and no templates of the standard library are called: a function
// compiled for one level must never be merged by the linker with the same function of another.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace starling::kernels {
namespace {

/// The level this translation unit is compiled for.
constexpr Level here = Level::STARLING_LEVEL;

constexpr std::int64_t pack_bytes = here == Level::v4 ? 64 : here == Level::v3 ? 32 : 16;

template <class T, std::int64_t bytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(bytes)));
};

template <class T>
struct Integer;
template <>
struct Integer<float> {
  using Type = std::int32_t;
};
template <>
struct Integer<double> {
  using Type = std::int64_t;
};

/// A register of the type that arrays of T are computed in: a bfloat16 has a pack of float.
template <class T>
using Pack = typename VectorOf<Compute<T>, pack_bytes>::Type;
/// What comparing packs gives (−1 where true), and the bits of a pack.
template <class T>
using PackBits = typename VectorOf<typename Integer<Compute<T>>::Type, pack_bytes>::Type;

template <class T>
constexpr std::int64_t lanes = pack_bytes / static_cast<std::int64_t>(sizeof(Compute<T>));

/// `count` rounded up to whole packs.
template <class T>
constexpr std::int64_t padded(std::int64_t count) {
  return (count + lanes<T> - 1) / lanes<T> * lanes<T>;
}

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

template <class T>
[[gnu::always_inline]] inline Pack<T> splat(T value) {
  return value - Pack<T>{};  // not 0 + value: that would turn −0 into 0, so it costs an addition
}

/// As many bfloat16 as a pack of float has lanes.
using PackOfHalves = typename VectorOf<std::uint16_t, pack_bytes / 2>::Type;
using PackOfWords = typename VectorOf<std::uint32_t, pack_bytes>::Type;

[[gnu::always_inline]] inline Pack<float> widened(PackOfHalves halves) {
  return (Pack<float>)(__builtin_convertvector(halves, PackOfWords) << 16);
}

/// As bfloat16(float) rounds.
[[gnu::always_inline]] inline PackOfHalves narrowed(Pack<float> pack) {
  const PackOfWords bits = (PackOfWords)pack;
  const PackOfWords rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return __builtin_convertvector((pack != pack ? bits | 0x400000u : rounded) >> 16, PackOfHalves);
}

template <class T>
[[gnu::always_inline]] inline Pack<T> load(const T* from) {
  if constexpr (sizeof(T) == 2) {
    PackOfHalves halves;
    __builtin_memcpy(&halves, from, sizeof(halves));
    return widened(halves);
  } else {
    Pack<T> pack;
    __builtin_memcpy(&pack, from, sizeof(pack));
    return pack;
  }
}

template <class T>
[[gnu::always_inline]] inline void store(T* to, Pack<T> pack) {
  if constexpr (sizeof(T) == 2) {
    const PackOfHalves halves = narrowed(pack);
    __builtin_memcpy(to, &halves, sizeof(halves));
  } else {
    __builtin_memcpy(to, &pack, sizeof(pack));
  }
}

/// The first `count` numbers, zero behind them; 0 ≤ count.
template <class T>
[[gnu::always_inline]] inline Pack<T> load(const T* from, std::int64_t count) {
  if (count >= lanes<T>) return load(from);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 2)
    return widened((PackOfHalves)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1u), from));
  else if constexpr (sizeof(T) == 4)
    return (Pack<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
  else
    return (Pack<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1u), from);
#else
  Compute<T> values[lanes<T>] = {};
  for (std::int64_t i = 0; i < count; ++i) values[i] = from[i];
  return load(values);
#endif
}

template <class T>
[[gnu::always_inline]] inline void store(T* to, Pack<T> pack, std::int64_t count) {
  if (count >= lanes<T>) return store(to, pack);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 2)
    _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << count) - 1u), (__m256i)narrowed(pack));
  else if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), (__m512)pack);
  else
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1u), (__m512d)pack);
#else
  for (std::int64_t i = 0; i < count; ++i) to[i] = T(pack[i]);
#endif
}

/// Lane-wise condition ? a : b.
template <class T>
[[gnu::always_inline]] inline Pack<T> select(PackBits<T> condition, Pack<T> a, Pack<T> b) {
  return condition ? a : b;
}

/// min(limit, x) and max(limit, x) that leave a NaN in x as it is.
template <class T>
[[gnu::always_inline]] inline Pack<T> at_most(Pack<T> x, T limit) {
  return select<T>(x > splat(limit), splat(limit), x);
}
template <class T>
[[gnu::always_inline]] inline Pack<T> at_least(Pack<T> x, T limit) {
  return select<T>(x < splat(limit), splat(limit), x);
}

/// Lane-wise maximum; b where a is NaN.
template <class T>
[[gnu::always_inline]] inline Pack<T> maximum(Pack<T> a, Pack<T> b) {
  return select<T>(a > b, a, b);
}

template <class V, std::size_t... i>
[[gnu::always_inline]] inline auto low_half(V v, std::index_sequence<i...>) {
  return __builtin_shufflevector(v, v, static_cast<int>(i)...);
}
template <class V, std::size_t... i>
[[gnu::always_inline]] inline auto high_half(V v, std::index_sequence<i...>) {
  return __builtin_shufflevector(v, v, static_cast<int>(i + sizeof...(i))...);
}

/// Folds the lanes into one number by halves.
template <class T, class V, class Combine>
[[gnu::always_inline]] inline T fold(V v, Combine combine) {
  if constexpr (sizeof(V) == 2 * sizeof(T)) {
    return combine(T(v[0]), T(v[1]));
  } else {
    using Halves = std::make_index_sequence<sizeof(V) / sizeof(T) / 2>;
    return fold<T>(combine(low_half(v, Halves{}), high_half(v, Halves{})), combine);
  }
}

template <class T>
[[gnu::always_inline]] inline T sum(Pack<T> pack) {
  return fold<T>(
      pack, [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}

/// The largest lane; a NaN lane may be passed over.
template <class T>
[[gnu::always_inline]] inline T largest(Pack<T> pack) {
  return fold<T>(
      pack, [](auto a, auto b) __attribute__((always_inline)) { return a > b ? a : b; });
}

template <class T>
[[gnu::always_inline]] inline Pack<T> square_root(Pack<T> x) {
#if defined(__AVX512F__)
  // maskz: the plain forms warn about an uninitialised operand in GCC's own header.
  if constexpr (sizeof(T) == 4)
    return (Pack<T>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
  else
    return (Pack<T>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
#else
  Pack<T> root = x;
  for (std::int64_t i = 0; i < lanes<T>; ++i) {
    if constexpr (sizeof(T) == 4)
      root[i] = __builtin_sqrtf(x[i]);
    else
      root[i] = __builtin_sqrt(x[i]);
  }
  return root;
#endif
}

}  // namespace
}  // namespace starling::kernels
