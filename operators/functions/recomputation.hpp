// Memory against time: what a part of a model needs for its backward pass is computed again there instead of kept (Chen et al. 2016,
// arXiv 1604.06174).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace starling::operators {

/// f(inputs), of which only inputs and outputs stay; the backward pass calls f again. Inputs and outputs may be undefined. f has to be a
/// function of its inputs alone: a tensor that it gets elsewhere gets no gradient. The values of f and the gradients are those of a plain
/// call, bit by bit, but for the order in which gradients of a tensor are summed that f uses several times and others use too. No
/// second derivative.
std::vector<at::Tensor> recomputed(std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)> f,
                                   const std::vector<at::Tensor>& inputs);

}  // namespace starling::operators
