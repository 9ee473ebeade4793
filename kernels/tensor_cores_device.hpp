// Tensor cores: products of 16 × 8 by 8 × 8 numbers of 11 bits that a warp holds, and floats as two such numbers. How a tensor core rounds
// its sums of eight is a device's own.
#pragma once

#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

/// Which factors of a product have no rest.
enum class Exact { none, left, right, both };
STARLING_DEVICE constexpr Exact exact(bool left, bool right) {
  return left && right ? Exact::both : left ? Exact::left : right ? Exact::right : Exact::none;
}
STARLING_DEVICE constexpr bool left_has_rest(Exact exact) { return exact == Exact::none || exact == Exact::right; }
STARLING_DEVICE constexpr bool right_has_rest(Exact exact) { return exact == Exact::none || exact == Exact::left; }

/// sums (16 × 8) += left (16 × 8) right (8 × 8) of a warp, of numbers of 11 bits. Lane 4g + t holds left [g][t], [g + 8][t], [g][t + 4],
/// [g + 8][t + 4], right [t][g], [t + 4][g] and sums [g][2t], [g][2t + 1], [g + 8][2t], [g + 8][2t + 1]: PTX, mma.m16n8k8 of tf32.
STARLING_DEVICE inline void multiply([[maybe_unused]] const Block& block, const float (&left)[4], const float (&right)[2],
                                     float (&sums)[4]) {
#if defined(__CUDA_ARCH__)
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(__float_as_uint(left[0])), "r"(__float_as_uint(left[1])), "r"(__float_as_uint(left[2])), "r"(__float_as_uint(left[3])),
        "r"(__float_as_uint(right[0])), "r"(__float_as_uint(right[1])));
#else
  const double given[] = {left[0], left[1], left[2], left[3], right[0], right[1]};
  block.lockstep->give(given, 6);
  const int group = block.lane() / 4, member = block.lane() % 4;
  for (int k = 0; k < 4; ++k) {
    const double* const of_left = block.lockstep->given_by(block.thread - block.lane() + group * 4 + k);
    for (int n = 0; n < 2; ++n) {
      const double* const of_right = block.lockstep->given_by(block.thread - block.lane() + (member * 2 + n) * 4 + k);
      for (int i = 0; i < 4; ++i) sums[i % 2 * 2 + n] += static_cast<float>(of_left[i] * of_right[4 + i / 2]);
    }
  }
#endif
}

STARLING_DEVICE inline float leading_bits(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  bits &= 0xffffe000u;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}
template <int n>
STARLING_DEVICE void split(float (&x)[n], float (&rest)[n]) {
  for (int i = 0; i < n; ++i) {
    const float leading = leading_bits(x[i]);
    rest[i] = leading_bits(x[i] - leading);
    x[i] = leading;
  }
}

/// The same of numbers in two parts, but for the product of rests.
template <Exact exact>
STARLING_DEVICE void multiply(const Block& block, const float (&left)[4], const float (&rest_of_left)[4], const float (&right)[2],
                              const float (&rest_of_right)[2], float (&sums)[4]) {
  if constexpr (left_has_rest(exact)) multiply(block, rest_of_left, right, sums);
  if constexpr (right_has_rest(exact)) multiply(block, left, rest_of_right, sums);
  multiply(block, left, right, sums);
}

}  // namespace starling::kernels::device
