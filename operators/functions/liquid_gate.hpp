// The gate of a routed LIV: one liquid time-constant neuron (Hasani et al. 2020, arXiv 2006.04439) of the input alone.
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::operators {

/// dg/dt = −(1/τ + f) g + f with f = softplus(u + bias), by one implicit step Δ per token:
///   g_t = (g_{t−1} + Δ f_t) / (1 + Δ (1/τ + f_t)),  0 ≤ g < 1,  g_{−1} = 0,
/// a diagonal scan whose decay depends on the input. τ and Δ are positive: they are given as logarithms.
struct LiquidGateInputs {
  const at::Tensor& u;          ///< (batch, length, 1)
  const at::Tensor& bias;       ///< (1)
  const at::Tensor& log_tau;    ///< (1), τ in tokens
  const at::Tensor& log_delta;  ///< (1)
};

/// g (batch, length, 1), float where u is bfloat16. With `state` (batch, 1) the sequence is continued from it and it is updated; no gradient then.
at::Tensor liquid_gate(const LiquidGateInputs& inputs, const at::Tensor* state = nullptr);

}  // namespace starling::operators
