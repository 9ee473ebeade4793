// Dropout (Srivastava et al., JMLR 15, 2014) by random numbers that are functions of where an element stands: element e of sequence s has
// 16 bits of its own, the low half of word ⌊e / 2⌋ of a stream, or where e is odd its high half,
//   y_se = 0 where they are below the threshold, else scale · x_se.
// Words are those of Philox4x32-10 (Salmon et al., SC 2011) under `key`: word w is number w mod 4 of the block with the counter (low and high
// half of ⌊w / 4⌋, low and high half of first_sequence + s). One thread per call. float and double.
#pragma once

#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// x, y: (sequences, elements), contiguous; y may be x. threshold ≤ 65536.
template <class T>
struct Dropout {
  const T* x = nullptr;
  T* y = nullptr;
  std::int64_t sequences = 0;
  std::int64_t elements = 0;
  std::int64_t first_sequence = 0;
  std::uint32_t key[2] = {0, 0};
  std::uint32_t threshold = 0;
  T scale = T(1);
};

template <Level level, class T>
void execute(const Dropout<T>& arguments);

template <class T>
void dropout(const Dropout<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
