// Branch-free elementary functions on packs. Only for x_cpu.cpp. NaN in gives NaN out; errors are below 3 ulp
// unless said otherwise.
#pragma once

#include <starling/kernels/simd.hpp>

namespace starling::kernels {
namespace {

constexpr double log2_of_e = 1.44269504088896340736;
constexpr double ln_of_2 = 0.69314718055994530942;

template <class T>
struct FloatFormat;
template <>
struct FloatFormat<float> {
  static constexpr int mantissa = 23;
  static constexpr std::int32_t bias = 127;
  static constexpr float round = 12582912.0f;  ///< 1.5 · 2^23: adding it rounds to an integer, which stands in the low bits
  static constexpr float ln2_high = 0.693359375f;
  static constexpr float ln2_low = -2.12194440e-4f;
  static constexpr float exp_highest = 89.0f;  ///< exp overflows to infinity from here on
  static constexpr float exp_lowest = -86.9f;  ///< below, exp is flushed to 0: denormal numbers are slow and say nothing
  static constexpr float exp2_lowest = -125.0f;
};
template <>
struct FloatFormat<double> {
  static constexpr int mantissa = 52;
  static constexpr std::int64_t bias = 1023;
  static constexpr double round = 6755399441055744.0;
  static constexpr double ln2_high = 6.93145751953125e-1;
  static constexpr double ln2_low = 1.42860682030941723212e-6;
  static constexpr double exp_highest = 710.0;
  static constexpr double exp_lowest = -708.0;
  static constexpr double exp2_lowest = -1021.0;
};

/// p · 2^n for an integer n in [−125, 128] (double: [−1021, 1024]) that stands in the low bits of `shifted` = n +
/// FloatFormat::round.
template <class T>
[[gnu::always_inline]] inline Pack<T> scale_by_power(Pack<T> p, Pack<T> shifted) {
  using F = FloatFormat<T>;
  // 2^(n−1) · 2, because 2^128 is no float though p · 2^128 may be.
  const PackBits<T> power = ((PackBits<T>)shifted + (F::bias - 1)) << F::mantissa;
  return p * (Pack<T>)power * T(2);
}

template <class T>
[[gnu::always_inline]] inline Pack<T> round_to_integer(Pack<T> x, Pack<T>& shifted) {
  shifted = x + FloatFormat<T>::round;
  return shifted - FloatFormat<T>::round;
}

/// e^r for |r| ≤ ln 2 / 2: Cephes' expf in float, the Taylor series in double (remainder below 5e-18).
template <class T>
[[gnu::always_inline]] inline Pack<T> exp_reduced(Pack<T> r) {
  if constexpr (sizeof(T) == 4) {
    Pack<T> p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r) + r + 1.0f;
  } else {
    constexpr T inverse_factorial[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                                       1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
                                       1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5};
    Pack<T> p = splat(inverse_factorial[0]);
    for (int k = 1; k < 12; ++k) p = p * r + inverse_factorial[k];
    return p * (r * r) + r + 1.0;
  }
}

/// e^x. 0 below exp_lowest (1.8e-38 in float), infinity above the largest finite result.
template <class T>
[[gnu::always_inline]] inline Pack<T> exponential(Pack<T> x) {
  using F = FloatFormat<T>;
  const Pack<T> clamped = at_most<T>(x, F::exp_highest);
  Pack<T> shifted;
  const Pack<T> n = round_to_integer<T>(clamped * T(log2_of_e), shifted);
  const Pack<T> r = clamped - n * F::ln2_high - n * F::ln2_low;
  return select<T>(x < splat(F::exp_lowest), Pack<T>{}, scale_by_power<T>(exp_reduced<T>(r), shifted));
}

/// 2^x for x < 127: decays and softmax weights, with the fewest operations. 0 below 2^exp2_lowest.
template <class T>
[[gnu::always_inline]] inline Pack<T> exp2_bounded(Pack<T> x) {
  using F = FloatFormat<T>;
  // The exponent's bias is part of the rounding constant, so that the low bits of `shifted` are those of the exponent
  // of 2^n.
  constexpr T round = F::round + T(F::bias);
  const Pack<T> shifted = x + round;
  const Pack<T> r = x - (shifted - round);
  Pack<T> p;
  if constexpr (sizeof(T) == 4) {
    // Minimax on [−½, ½], relative error 2e-9 before rounding.
    p = splat(1.5353360608e-4f);
    p = p * r + 1.3398874867e-3f;
    p = p * r + 9.6184373665e-3f;
    p = p * r + 5.5503324697e-2f;
    p = p * r + 2.4022647913e-1f;
    p = p * r + 6.9314720286e-1f;
    p = p * r + 1.0f;
  } else {
    p = exp_reduced<T>(r * T(ln_of_2));
  }
  const PackBits<T> power = (PackBits<T>)shifted << F::mantissa;
  return select<T>(x < splat(F::exp2_lowest), Pack<T>{}, p * (Pack<T>)power);
}

/// log(1 + e) for 0 ≤ e ≤ 1 (or NaN), exact near 0: 2 atanh of an exactly reduced argument.
template <class T>
[[gnu::always_inline]] inline Pack<T> log1p_unit(Pack<T> e) {
  const auto upper = e > splat(T(0.41421356237309504880));
  const Pack<T> f = select<T>(upper, (e - T(1)) * T(0.5), e);
  const Pack<T> s = f / (f + T(2));
  const Pack<T> q = s * s;
  constexpr int terms = sizeof(T) == 4 ? 5 : 12;  // |s| ≤ 0.172: the next term is below rounding
  Pack<T> p = splat(T(2) / T(2 * terms + 1));
  for (int k = terms - 1; k >= 1; --k) p = p * q + T(2) / T(2 * k + 1);
  const Pack<T> log = s * T(2) + s * q * p;
  return select<T>(upper, log + T(ln_of_2), log);
}

template <class T>
[[gnu::always_inline]] inline Pack<T> absolute(Pack<T> x) {
  return select<T>(x < Pack<T>{}, -x, x);
}

/// 1 / (1 + e^−x).
template <class T>
[[gnu::always_inline]] inline Pack<T> sigmoid(Pack<T> x) {
  return T(1) / (exponential<T>(-x) + T(1));
}

/// log(1 + e^x); its derivative is the sigmoid.
template <class T>
[[gnu::always_inline]] inline Pack<T> softplus(Pack<T> x) {
  return at_least<T>(x, T(0)) + log1p_unit<T>(exponential<T>(-absolute<T>(x)));
}

/// The hyperbolic tangent, absolute error 2 ulp of 1.
template <class T>
[[gnu::always_inline]] inline Pack<T> tangent(Pack<T> x) {
  const Pack<T> e = exponential<T>(absolute<T>(x) * T(-2));
  const Pack<T> t = (T(1) - e) / (e + T(1));
  return select<T>(x < Pack<T>{}, -t, t);
}

struct SineAndCosine {
  Pack<double> sine;
  Pack<double> cosine;
};

/// For |x| up to 1e6, absolute error 1e-15; beyond, less and less exact and in the end NaN. The argument reduced by three parts
/// of π/2, polynomials of fdlibm.
[[gnu::always_inline]] inline SineAndCosine sine_and_cosine(Pack<double> x) {
  Pack<double> shifted;
  const Pack<double> n = round_to_integer<double>(x * 6.36619772367581382433e-01, shifted);
  const Pack<double> r = x - n * 1.57079632673412561417e+00 - n * 6.07710050630396597660e-11 - n * 2.02226624879595063154e-21;
  const Pack<double> z = r * r;
  Pack<double> p = splat(1.58969099521155010221e-10);
  p = p * z - 2.50507602534068634195e-08;
  p = p * z + 2.75573137070700676789e-06;
  p = p * z - 1.98412698298579493134e-04;
  p = p * z + 8.33333333332248946124e-03;
  p = p * z - 1.66666666666666324348e-01;
  const Pack<double> sine = r * z * p + r;
  Pack<double> q = splat(-1.13596475577881948265e-11);
  q = q * z + 2.08757232129817482790e-09;
  q = q * z - 2.75573143513906633035e-07;
  q = q * z + 2.48015872894767294178e-05;
  q = q * z - 1.38888888888741095749e-03;
  q = q * z + 4.16666666666666019037e-02;
  const Pack<double> cosine = z * z * q - z * 0.5 + 1.0;
  const PackBits<double> quadrant = (PackBits<double>)shifted;
  const auto odd = (quadrant & 1) != 0;
  const Pack<double> s = select<double>(odd, cosine, sine);
  const Pack<double> c = select<double>(odd, sine, cosine);
  return {select<double>((quadrant & 2) != 0, -s, s), select<double>(((quadrant + 1) & 2) != 0, -c, c)};
}

/// The distribution function of the normal distribution, ½ erfc(−x / √2), with relative accuracy in the lower tail too
/// (a few ulp times 1 + x²). float: the rational Chebyshev fit of Press et al., Numerical Recipes, erfcc (fractional
/// error 1.2e-7).
template <class T>
[[gnu::always_inline]] inline Pack<T> normal_cdf(Pack<T> x) {
  constexpr T inverse_root2 = T(0.70710678118654752440);
  if constexpr (sizeof(T) == 4) {
    const Pack<T> z = absolute<T>(x) * inverse_root2;
    const Pack<T> t = T(2) / (z + T(2));
    Pack<T> p = splat(0.17087277f);
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    const Pack<T> half_erfc = t * exponential<T>(p - z * z) * T(0.5);
    return select<T>(x > Pack<T>{}, T(1) - half_erfc, half_erfc);
  } else {
    Pack<T> result = x;
    for (std::int64_t i = 0; i < lanes<T>; ++i) result[i] = 0.5 * __builtin_erfc(-x[i] * inverse_root2);
    return result;
  }
}

}  // namespace
}  // namespace starling::kernels
