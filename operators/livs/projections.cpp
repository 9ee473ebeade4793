#include <starling/operators/livs/projections.hpp>

#include <cmath>

#include <starling/kernels/short_conv.hpp>
#include <starling/operators/functions/linear.hpp>

namespace starling::operators {

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

TensorSpec lambda_vectors() { return {.name = "lambda", .shape = {4, 16}, .fill = Fill::normal, .scale = 0.1}; }

void project_groups(const Call& call, const at::Tensor& input, std::initializer_list<GroupSlot> groups) {
  Tensors weights;
  for (const auto [group, slot] : groups) {
    if (contains(call.computes, group)) weights.push_back(call.bank[slot]);
  }
  auto projected = project(input, weights);
  auto next = projected.begin();
  for (const auto [group, slot] : groups) {
    if (contains(call.computes, group)) call.features[group] = std::move(*next++);
  }
}

}  // namespace starling::operators
