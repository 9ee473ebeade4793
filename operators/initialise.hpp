// First values of weights: the same bits from the same seed whatever machine, compiler or LibTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

#include <starling/base/random.hpp>
#include <starling/operators/tensor_spec.hpp>

namespace starling::operators {

enum class Rule { glorot, he };

/// Fills a contiguous float or double CPU tensor of the spec's shape; `depth` counts the residual branches.
void initialise(const at::Tensor& tensor, const TensorSpec& spec, Rule rule, std::size_t depth, Stream& stream);

/// The standard normal quantile of p in (0, 1) by rational functions, relative error 1e-15 (Wichura 1988, Algorithm AS
/// 241). Only +, −, ×, ÷ and square roots, so that it is the same everywhere, which the logarithms and cosines of C
/// libraries are not.
double normal_quantile(double p);

}  // namespace starling::operators
