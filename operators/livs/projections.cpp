#include <starling/operators/livs/projections.hpp>

#include <cmath>

#include <ATen/TensorOperators.h>

#include <starling/base/monarch.hpp>
#include <starling/kernels/short_conv.hpp>
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/monarch.hpp>

namespace starling::operators {
namespace {

/// R, then L.
std::vector<TensorSpec> monarch_factors(const std::string& name, std::int64_t inputs, std::int64_t outputs) {
  const auto sizes = monarch_sizes(inputs, outputs);
  return {{.name = name + ".right", .shape = {sizes.blocks, sizes.block, sizes.block}, .matrix = true},
          {.name = name + ".left", .shape = {sizes.block, sizes.block_outputs, sizes.blocks}, .matrix = true}};
}

}  // namespace

bool has_groups(const Config& config, std::initializer_list<std::string_view> names) {
  if (config.groups.size() != names.size()) return false;
  for (const auto name : names) {
    if (config.group(name) < 0) return false;
  }
  return true;
}

bool is_plain_projection(const GroupConfig& group) {
  return group.parametrisation == Parametrisation::input && group.token_mixing == TokenMixing::diagonal &&
         group.sparsity == Sparsity::none && group.nonlinearity == Nonlinearity::none && group.channel_mixing == ChannelMixing::dense;
}

bool is_monarch_projection(const GroupConfig& group) {
  auto dense = group;
  dense.channel_mixing = ChannelMixing::dense;
  return group.channel_mixing == ChannelMixing::monarch && is_plain_projection(dense);
}

bool is_convolved_projection(const GroupConfig& group, Nonlinearity nonlinearity) {
  return group.parametrisation == Parametrisation::input && group.token_mixing == TokenMixing::toeplitz && group.taps >= 1 &&
         group.taps <= kernels::max_short_conv_taps && group.sparsity == Sparsity::none && group.nonlinearity == nonlinearity &&
         group.channel_mixing == ChannelMixing::dense;
}

TensorSpec projection_of(const Config& config, std::size_t group, std::int64_t inputs) {
  return {.name = config.groups[group].name,
          .shape = {config.groups[group].channels, inputs},
          .matrix = true,
          .group = static_cast<int>(group)};
}

std::vector<TensorSpec> monarch_projection_of(const Config& config, std::size_t group, std::int64_t inputs) {
  auto factors = monarch_factors(config.groups[group].name, inputs, config.groups[group].channels);
  for (auto& factor : factors) factor.group = static_cast<int>(group);
  return factors;
}

TensorSpec taps_of(const Config& config, std::size_t group) {
  const auto& convolved = config.groups[group];
  return {.name = convolved.name + ".taps",
          .shape = {convolved.channels, convolved.taps},
          .fill = Fill::uniform,
          .scale = 1.0 / std::sqrt(static_cast<double>(convolved.taps)),
          .group = static_cast<int>(group)};
}

TensorSpec output_projection(std::int64_t width, std::int64_t inner) {
  return {.name = "out", .shape = {width, inner}, .matrix = true, .fill = Fill::output};
}

std::vector<TensorSpec> monarch_output_projection(std::int64_t width, std::int64_t inner) {
  auto factors = monarch_factors("out", inner, width);
  factors[1].fill = Fill::output;
  return factors;
}

at::Tensor add_monarch_projection(const at::Tensor& residual, const at::Tensor& mixed, const Tensors& own) {
  return residual + monarch(mixed, own[0], own[1]);
}

TensorSpec lambda_vectors() { return {.name = "lambda", .shape = {4, 16}, .fill = Fill::normal, .scale = 0.1}; }

void project_groups(const Call& call, const at::Tensor& input, std::initializer_list<GroupSlot> groups) {
  const auto is_monarch = [&](std::size_t slot) { return call.bank[slot].dim() == 3; };
  Tensors weights;
  for (const auto [group, slot] : groups) {
    if (!contains(call.computes, group)) continue;
    if (is_monarch(slot)) {
      call.features[group] = monarch(input, call.bank[slot], call.bank[slot + 1]);
    } else {
      weights.push_back(call.bank[slot]);
    }
  }
  auto projected = project(input, weights);
  auto next = projected.begin();
  for (const auto [group, slot] : groups) {
    if (contains(call.computes, group) && !is_monarch(slot)) call.features[group] = std::move(*next++);
  }
}

}  // namespace starling::operators
