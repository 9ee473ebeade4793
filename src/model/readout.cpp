#include <starling/model/readout.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

#include <starling/operators/functions/linear.hpp>

namespace starling::model {
namespace {

/// (length, width): sines in the first half of the channels, cosines in the second.
at::Tensor places(std::int64_t length, std::int64_t width, const at::TensorOptions& options) {
  const auto half = width / 2;
  const auto frequencies = at::pow(10'000.0, at::arange(half, options).mul(-1.0 / static_cast<double>(half)));
  const auto angles = at::outer(at::arange(length, options), frequencies);
  return at::cat({angles.sin(), angles.cos()}, 1);
}

}  // namespace

at::Tensor Readout::decode(const at::Tensor& hidden) const {
  const auto length = hidden.size(1);
  const auto type = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto at_places = hidden.narrow(1, length - 1, 1) +
                         places(length, hidden.size(2), hidden.options().dtype(type).requires_grad(false)).to(hidden.scalar_type());
  return operators::project(at::gelu(operators::project(at_places, {up})[0]), {down})[0];
}

}  // namespace starling::model
