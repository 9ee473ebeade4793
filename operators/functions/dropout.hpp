// Dropout (Srivastava et al., JMLR 15, 2014) whose mask is a function of where an element stands, not of when it is asked for: the backward
// pass, a pass that is computed again and a batch in other pieces meet the same one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace starling::operators {

struct Dropout {
  double probability = 0;           ///< below 1; used to the nearest 2⁻¹⁶, at least that
  std::uint64_t seed = 0;           ///< of the step
  std::uint32_t place = 0;          ///< in the model
  std::int64_t first_sequence = 0;  ///< of x within the batch of the step
};

/// x (batch, length, channels) with elements 0 at that probability, the others × 1 / (1 − probability). Element e of sequence s is dropped by
/// the 16 bits that are its own in the stream (seed, dropout, first_sequence + s, place): the low half of word ⌊e / 2⌋, or its high half.
/// float or double. Nothing is kept for the backward pass.
at::Tensor dropout(const at::Tensor& x, const Dropout& noise);

}  // namespace starling::operators
