// Depthwise causal convolution with few taps, optionally followed by SiLU:
//   s[b, t, c] = Σ_{j < taps} weight[c, j] · x[b, t − (taps − 1) + j, c],  y = s or silu(s)
// The last tap meets the current token (the layout of torch.nn.Conv1d with groups = channels). Tokens before the first
// come from `initial`, or are zero. Splitting a sequence and carrying the state gives the same numbers as the whole.
// One thread per call. float, double and bfloat16 (with taps, their gradient and carried inputs in float).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

enum class ShortConvActivation { none, silu };

inline constexpr std::int64_t max_short_conv_taps = 8;

/// x, y: (batch, length, channels), channels contiguous, tokens `*_stride` elements apart, sequences length · stride
/// apart; y must not be x. weight: (channels, taps), 1 ≤ taps ≤ 8. initial, final: (batch, taps − 1, channels), the
/// last taps − 1 inputs, oldest first; null for none; final may be initial.
template <class T>
struct ShortConvForward {
  const T* x = nullptr;
  const Compute<T>* weight = nullptr;
  const Compute<T>* initial = nullptr;
  T* y = nullptr;
  Compute<T>* final = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t channels = 0;
  std::int64_t taps = 0;
  std::int64_t x_stride = 0;
  std::int64_t y_stride = 0;
  ShortConvActivation activation = ShortConvActivation::none;
};

/// dx is written (it must not be dy or x), dweight is added to. `initial` is a constant: no gradient flows into it.
template <class T>
struct ShortConvBackward {
  const T* x = nullptr;
  const Compute<T>* weight = nullptr;
  const Compute<T>* initial = nullptr;
  const T* dy = nullptr;
  T* dx = nullptr;
  Compute<T>* dweight = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t channels = 0;
  std::int64_t taps = 0;
  std::int64_t x_stride = 0;
  std::int64_t dy_stride = 0;
  std::int64_t dx_stride = 0;
  ShortConvActivation activation = ShortConvActivation::none;
};

template <Level level, class T>
void execute(const ShortConvForward<T>& arguments);
template <Level level, class T>
void execute(const ShortConvBackward<T>& arguments);

template <class T>
void short_conv_forward(const ShortConvForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void short_conv_backward(const ShortConvBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
