// bfloat16 as a storage type: the upper half of a float. Kernels over it load to float, compute in float and round once, where
// they store (to nearest, ties to even; a NaN stays one). What they keep between tokens and what they sum stays float.
#pragma once

#include <starling/kernels/host_device.hpp>

#include <cstdint>

namespace starling::kernels {

struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  // always_inline: a copy compiled for one level of instructions must never be called from another.
  [[gnu::always_inline]] STARLING_DEVICE explicit bfloat16(float value) {
    std::uint32_t whole;
    __builtin_memcpy(&whole, &value, sizeof(whole));
    const std::uint32_t rounded = value != value ? whole | 0x400000u : whole + 0x7fffu + (whole >> 16 & 1u);
    bits = static_cast<std::uint16_t>(rounded >> 16);
  }
  [[gnu::always_inline]] STARLING_DEVICE operator float() const {
    const std::uint32_t whole = static_cast<std::uint32_t>(bits) << 16;
    float value;
    __builtin_memcpy(&value, &whole, sizeof(value));
    return value;
  }
};
static_assert(sizeof(bfloat16) == 2);

template <class T>
struct ComputeOf {
  using Type = T;
};
template <>
struct ComputeOf<bfloat16> {
  using Type = float;
};
/// The type that a kernel over arrays of T computes in.
template <class T>
using Compute = typename ComputeOf<T>::Type;

}  // namespace starling::kernels
