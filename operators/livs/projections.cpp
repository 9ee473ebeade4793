#include <starling/operators/livs/projections.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>

#include <cmath>

#include <starling/base/monarch.hpp>
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/monarch.hpp>
#include <starling/operators/functions/product.hpp>
#include <starling/operators/functions/short_conv.hpp>

namespace starling::operators {
namespace {

/// x (batch, length, inputs) times a block-diagonal matrix (blocks, outputs / blocks, inputs / blocks).
at::Tensor project_in_blocks(const at::Tensor& x, const at::Tensor& weight) {
  const auto rows = x.reshape({-1, weight.size(0), weight.size(2)}).transpose(0, 1);
  const auto y = batched_product(rows, weight.transpose(1, 2));
  return y.transpose(0, 1).reshape({x.size(0), x.size(1), -1}).contiguous();  // reshape views blocks of one output as they are
}

at::Tensor activated(const at::Tensor& x, Nonlinearity nonlinearity) {
  switch (nonlinearity) {
    case Nonlinearity::relu:
      return at::relu(x);
    case Nonlinearity::silu:
      return at::silu(x);
    case Nonlinearity::gelu:
      return at::gelu(x);
    case Nonlinearity::none:
    case Nonlinearity::softmax:
      break;
  }
  return x;
}

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

bool is_projected(const Config& config, const GroupConfig& group) {
  const bool convolved = group.token_mixing == TokenMixing::toeplitz && group.taps >= 1 && group.taps <= kernels::max_short_conv_taps;
  const bool alone = group.token_mixing == TokenMixing::diagonal && group.taps == 0;
  if (group.parametrisation != Parametrisation::input || !(convolved || alone) || group.sparsity != Sparsity::none) return false;
  if (group.nonlinearity == Nonlinearity::softmax || group.channels < 1) return false;
  switch (group.channel_mixing) {
    case ChannelMixing::diagonal:
      return group.channels == config.width;
    case ChannelMixing::grouped:
      return group.channels % config.blocks == 0 && config.width % config.blocks == 0;
    case ChannelMixing::dense:
    case ChannelMixing::monarch:
      break;
  }
  return true;
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

Sight sight_of(const Config& config) {
  return {.window = config.sparsity == Sparsity::banded ? config.band : 0,
          .block = config.sparsity == Sparsity::block_diagonal ? config.band : 0};
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

void ProjectedGroups::declare(const Config& config, std::size_t group, std::vector<TensorSpec>& bank) {
  const auto& made = config.groups[group];
  Part part{.name = made.name,
            .group = group,
            .slot = bank.size(),
            .channel_mixing = made.channel_mixing,
            .nonlinearity = made.nonlinearity,
            .channels = made.channels,
            .taps = made.token_mixing == TokenMixing::toeplitz ? made.taps : 0};
  auto spec = projection_of(config, group, config.width);
  switch (made.channel_mixing) {
    case ChannelMixing::diagonal:
      bank.push_back({.name = made.name, .shape = {made.channels}, .fill = Fill::normal, .group = static_cast<int>(group)});
      break;
    case ChannelMixing::grouped:
      spec.shape = {config.blocks, made.channels / config.blocks, config.width / config.blocks};
      bank.push_back(std::move(spec));
      break;
    case ChannelMixing::monarch:
      for (auto& factor : monarch_projection_of(config, group, config.width)) bank.push_back(std::move(factor));
      break;
    case ChannelMixing::dense:
      bank.push_back(std::move(spec));
      break;
  }
  parts_.push_back(std::move(part));
}

void ProjectedGroups::declare(TensorSpec dense, std::vector<TensorSpec>& bank) {
  parts_.push_back({.name = dense.name, .group = static_cast<std::size_t>(dense.group), .slot = bank.size()});
  bank.push_back(std::move(dense));
}

void ProjectedGroups::declare_taps(const Config& config, std::vector<TensorSpec>& bank) {
  for (auto& part : parts_) {
    if (part.taps == 0) continue;
    part.taps_slot = bank.size();
    bank.push_back(taps_of(config, part.group));
  }
}

void ProjectedGroups::declare_tails(GroupMask computes, std::vector<StateSpec>& state) const {
  for (const auto& part : parts_) {
    if (part.taps == 0 || !contains(computes, part.group)) continue;
    state.push_back({.name = part.name + ".tail", .shape = {part.taps - 1, part.channels}});
  }
}

const at::Tensor* ProjectedGroups::compute(const Call& call, const at::Tensor& input, const at::Tensor* tails) const {
  Tensors dense;
  for (const auto& part : parts_) {
    if (contains(call.computes, part.group) && part.channel_mixing == ChannelMixing::dense) dense.push_back(call.bank[part.slot]);
  }
  auto projected = project(input, dense);
  auto next = projected.begin();
  for (const auto& part : parts_) {
    if (!contains(call.computes, part.group)) continue;
    auto& feature = call.features[part.group];
    switch (part.channel_mixing) {
      case ChannelMixing::diagonal:
        feature = at::mul(input, call.bank[part.slot].to(input.scalar_type()));
        break;
      case ChannelMixing::grouped:
        feature = project_in_blocks(input, call.bank[part.slot]);
        break;
      case ChannelMixing::monarch:
        feature = monarch(input, call.bank[part.slot], call.bank[part.slot + 1]);
        break;
      case ChannelMixing::dense:
        feature = std::move(*next++);
        break;
    }
    auto nonlinearity = part.nonlinearity;
    if (part.taps > 0) {
      const bool fused = nonlinearity == Nonlinearity::silu;
      const auto with = fused ? kernels::ShortConvActivation::silu : kernels::ShortConvActivation::none;
      feature = short_conv(feature, call.bank[part.taps_slot], with, tails);
      if (tails) ++tails;
      if (fused) nonlinearity = Nonlinearity::none;
    }
    feature = activated(feature, nonlinearity);
  }
  return tails;
}

}  // namespace starling::operators
