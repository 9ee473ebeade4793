// Pointwise nonlinearities with their slopes. Only for x_cpu.cpp.
#pragma once

#include <starling/kernels/elementary.hpp>
#include <starling/kernels/gated_unit.hpp>

namespace starling::kernels {
namespace {

template <class T>
struct Activated {
  Pack<T> value;
  Pack<T> slope;
};

template <Gate gate, class T>
[[gnu::always_inline]] inline Activated<T> activate(Pack<T> x) {
  if constexpr (gate == Gate::silu) {
    const Pack<T> s = sigmoid<T>(x);
    return {x * s, s * (x * (T(1) - s) + T(1))};
  } else if constexpr (gate == Gate::gelu) {
    constexpr T inverse_root_2pi = T(0.39894228040143267794);
    const Pack<T> cdf = normal_cdf<T>(x);
    return {x * cdf, x * (exponential<T>(x * x * T(-0.5)) * inverse_root_2pi) + cdf};
  } else if constexpr (gate == Gate::identity) {
    return {x, splat(T(1))};
  } else {
    // x ≤ 0 and not x > 0, so that a NaN stays one.
    const auto negative = x <= Pack<T>{};
    return {select<T>(negative, Pack<T>{}, x), select<T>(negative, Pack<T>{}, splat(T(1)))};
  }
}

}  // namespace
}  // namespace starling::kernels
