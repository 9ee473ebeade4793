#include <starling/model/series_ends.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/where.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace starling::model {
namespace {

using operators::Fill;
using operators::TensorSpec;

double input_sigma(std::int64_t channels, std::int64_t width) { return std::sqrt(2.0 / static_cast<double>(channels + width)); }

/// Prediction − target, 0 where there is no target, and where there is one.
std::pair<at::Tensor, at::Tensor> differences(const at::Tensor& predictions, const at::Tensor& targets) {
  if (predictions.sizes() != targets.sizes()) throw std::invalid_argument("series: targets must have the sizes of the inputs");
  const auto known = targets.to(predictions.options().requires_grad(false));
  const auto counts = at::isnan(known).logical_not();
  // Chosen before the difference is taken: the gradient of a NaN that is masked later is NaN.
  const auto stand_in = at::where(counts, known, predictions.detach());
  return {predictions - stand_in, counts};
}

}  // namespace

at::Tensor SeriesEnds::enter(const at::Tensor& values) const {
  return at::linear(values.to(input_weight.options().requires_grad(false)), input_weight, input_bias);
}

at::Tensor SeriesEnds::leave(const at::Tensor& hidden, const at::Tensor& values) const {
  return at::linear(hidden, output_weight, output_bias) + output_skip * values.to(output_skip.options().requires_grad(false));
}

TensorSpec input_weight_spec(std::int64_t channels, std::int64_t width) {
  return {.name = "input.weight", .shape = {width, channels}, .fill = Fill::normal, .scale = input_sigma(channels, width)};
}

TensorSpec input_bias_spec(std::int64_t channels, std::int64_t width) {
  return {.name = "input.bias", .shape = {width}, .fill = Fill::normal, .scale = input_sigma(channels, width)};
}

TensorSpec output_weight_spec(std::int64_t channels, std::int64_t width, double sigma) {
  return {.name = "output.weight", .shape = {channels, width}, .fill = Fill::normal, .scale = sigma};
}

TensorSpec output_bias_spec(std::int64_t channels) {
  return {.name = "output.bias", .shape = {channels}, .fill = Fill::constant, .scale = 0};
}

TensorSpec output_skip_spec(std::int64_t channels) { return {.name = "output.skip", .shape = {channels}, .fill = Fill::one}; }

at::Tensor mean_squared_error(const at::Tensor& predictions, const at::Tensor& targets, std::int64_t counted) {
  const auto [errors, counts] = differences(predictions, targets);
  const auto count = std::max<std::int64_t>(1, counted < 0 ? counts.sum().item<std::int64_t>() : counted);
  return errors.square().sum() / static_cast<double>(count);
}

SquaredErrors squared_errors(const at::Tensor& predictions, const at::Tensor& targets) {
  const c10::NoGradGuard no_gradient;
  const auto [errors, counts] = differences(predictions, targets);
  return {errors.to(at::kDouble).square().sum().item<double>(), counts.sum().item<std::int64_t>()};
}

}  // namespace starling::model
