// Float weights as what bfloat16 operators multiply with.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace starling::operators {

/// Stand-ins for contiguous float weights that are slices of one allocation: the slices at the same places of `copies`, an
/// allocation as large that holds the rounded values (whoever changes the weights writes them). What flows back into them goes
/// to the weights in float, so that the uses of a shared weight are summed in float where each has a stand-in of its own.
std::vector<at::Tensor> working_copies(const std::vector<at::Tensor>& weights, const at::Tensor& copies);

}  // namespace starling::operators
