// The diagonal gated recurrence, in training and continuing a sequence.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::operators {

/// h_t[n] = a_t[n] ⊙ h_{t−1}[n] + (1 − a_t[n]) B_t[n] ⊙ v_t,  y_t = Σ_n C_t[n] h_t[n]  with a = σ(gate + bias): per
/// channel and state n a decay of its own, per token one B and C for all channels.
struct GatedScanInputs {
  const at::Tensor& v;     ///< (batch, length, width)
  const at::Tensor& gate;  ///< (batch, length, states · width), the channels of state 0 first
  const at::Tensor& bias;  ///< (states · width)
  const at::Tensor& b;     ///< (batch, length, states)
  const at::Tensor& c;     ///< (batch, length, states)
};

/// (batch, length, width). With `state` (batch, states, width) the sequence is continued from it and it is updated; no
/// gradient then.
at::Tensor gated_scan(const GatedScanInputs& inputs, const at::Tensor* state = nullptr);

}  // namespace starling::operators
