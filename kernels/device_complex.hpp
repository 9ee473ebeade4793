// Complex numbers in device code, and arrays (2, pairs, width) of them: all real parts before all imaginary ones.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

template <class C>
struct Complex {
  C re;
  C im;
};

template <class C>
STARLING_DEVICE Complex<C> operator+(Complex<C> a, Complex<C> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class C>
STARLING_DEVICE Complex<C> operator-(Complex<C> a, Complex<C> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class C>
STARLING_DEVICE Complex<C> operator*(Complex<C> a, Complex<C> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class C>
STARLING_DEVICE Complex<C> operator*(C a, Complex<C> b) {
  return {a * b.re, a * b.im};
}
template <class C>
STARLING_DEVICE Complex<C> conjugate(Complex<C> a) {
  return {a.re, -a.im};
}
template <class C>
STARLING_DEVICE C squared_modulus(Complex<C> a) {
  return a.re * a.re + a.im * a.im;
}
template <class C>
STARLING_DEVICE Complex<C> operator/(Complex<C> a, Complex<C> b) {
  return (C(1) / squared_modulus(b)) * (a * conjugate(b));
}

/// base^exponent, exponent ≥ 0, by squaring.
template <class C>
STARLING_DEVICE Complex<C> power(Complex<C> base, Index exponent) {
  Complex<C> result{C(1), C(0)};
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result = result * base;
    base = base * base;
  }
  return result;
}

/// Where a number stands in an array with one plane (`real`), and in those with two.
struct PairPlace {
  Index real;
  Index imaginary;

  STARLING_DEVICE static PairPlace of(Index pair, Index channel, Index pairs, Index width) {
    return {pair * width + channel, (pairs + pair) * width + channel};
  }
};
template <class C, class T>
STARLING_DEVICE Complex<C> get(const T* from, const PairPlace& at) {
  return {C(from[at.real]), C(from[at.imaginary])};
}
template <class C, class T>
STARLING_DEVICE void put(T* to, const PairPlace& at, Complex<C> value) {
  to[at.real] = T(value.re);
  to[at.imaginary] = T(value.im);
}

}  // namespace starling::kernels::device
