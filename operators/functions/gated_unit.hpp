// Gated linear units over channels.
#pragma once

#include <ATen/core/Tensor.h>

#include <starling/kernels/gated_unit.hpp>

namespace starling::operators {

/// act(gate) ⊙ value, all (batch, length, channels).
at::Tensor gated_unit(const at::Tensor& gate, const at::Tensor& value, kernels::Gate activation);

}  // namespace starling::operators
