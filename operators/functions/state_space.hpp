// The diagonal complex state space (S4D), and with decays that the input bends (liquid S4), in training and continuing a
// sequence. What it computes: kernels/discretise.hpp and kernels/complex_scan.hpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace starling::operators {

/// Complex arrays (2 · pairs, width) have all real parts above all imaginary ones.
struct StateSpaceWeights {
  const at::Tensor& a_log;        ///< (pairs, width): A = −exp(a_log) + i a_imaginary
  const at::Tensor& a_imaginary;  ///< (pairs, width)
  const at::Tensor& log_step;     ///< (width)
  const at::Tensor& b;            ///< complex
  const at::Tensor& c;            ///< complex
  const at::Tensor& skip;         ///< D (width)
  const at::Tensor& liquid;       ///< complex; undefined where the decays do not depend on the input
};

/// u (batch, length, width) → y of the same shape.
at::Tensor state_space(const at::Tensor& u, const StateSpaceWeights& weights);

/// What continuing a sequence needs of the weights but for D: decay, weight and, where liquid, leak. No gradient.
std::vector<at::Tensor> discretised(const StateSpaceWeights& weights);
/// The same as state_space, from `state` (batch, 2 · pairs, width) on, which is updated. No gradient.
at::Tensor continue_state_space(const at::Tensor& u, const std::vector<at::Tensor>& discretised, const at::Tensor& skip,
                                const at::Tensor& state);

}  // namespace starling::operators
