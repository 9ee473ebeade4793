// Conversions between float and bfloat16, and the residual stream: what is kept in float meets what is computed in bfloat16.
//   Convert: y = x, rounded to nearest where y is bfloat16.   AddTo: y = x + part.
// One thread per call.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// x, y: (rows, width), rows `*_stride` elements apart, elements of a row contiguous. From float to bfloat16 or back.
template <class From, class To>
struct Convert {
  const From* x = nullptr;
  To* y = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t x_stride = 0;
  std::int64_t y_stride = 0;
};

/// x, part, y: (count), contiguous; y may be x.
struct AddTo {
  const float* x = nullptr;
  const bfloat16* part = nullptr;
  float* y = nullptr;
  std::int64_t count = 0;
};

template <Level level, class From, class To>
void execute(const Convert<From, To>& arguments);
template <Level level>
void execute(const AddTo& arguments);

template <class From, class To>
void convert(const Convert<From, To>& arguments) {
  dispatch(arguments);
}
inline void add_to(const AddTo& arguments) { dispatch(arguments); }

}  // namespace starling::kernels
