// The selective state space recurrence (S6), in training and continuing a sequence.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::operators {

/// h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t v_t,  y_t = (C_t h_t + D v_t) ⊙ silu(z_t)  with Δ = softplus(delta + bias), A =
/// −exp(a_log).
struct SelectiveScanInputs {
  const at::Tensor& v;  ///< (batch, length, width), as are delta and z
  const at::Tensor& delta;
  const at::Tensor& bias;   ///< (width)
  const at::Tensor& a_log;  ///< (width, states)
  const at::Tensor& b;      ///< (batch, length, states)
  const at::Tensor& c;      ///< (batch, length, states)
  const at::Tensor& skip;   ///< D (width)
  const at::Tensor& z;
};

/// (batch, length, width). With `state` (batch, width, states) the sequence is continued from it and it is updated; no
/// gradient then.
at::Tensor selective_scan(const SelectiveScanInputs& inputs, const at::Tensor* state = nullptr);

}  // namespace starling::operators
