// y = C ⊙ (K * (B ⊙ v)), B, C, v dense projections of x, K explicit, depthwise, causal. State: the last taps − 1 values
// of B ⊙ v.
#include <starling/operators/functions/short_conv.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

#include <cmath>

namespace starling::operators {
namespace {

enum Slot : std::size_t { b_slot, c_slot, v_slot, taps_slot };

class GatedConvolution final : public Operator {
 public:
  explicit GatedConvolution(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        width_(config.width),
        taps_(config.groups[static_cast<std::size_t>(config.group("K"))].taps) {
    for (const auto group : {b_, c_, v_}) bank_.push_back(projection_of(config, group, width_));
    bank_.push_back({.name = "K",
                     .shape = {width_, taps_},
                     .fill = Fill::uniform,
                     .scale = 1.0 / std::sqrt(static_cast<double>(taps_)),
                     .group = config.group("K")});
    own_.push_back(output_projection(width_, width_));
  }

  std::vector<StateSpec> state(GroupMask) const override { return {{.name = "tail", .shape = {taps_ - 1, width_}}}; }

  at::Tensor forward(const Call& call) const override {
    project_groups(call, call.x, {{b_, b_slot}, {c_, c_slot}, {v_, v_slot}});
    const auto* const tail = call.state ? &call.state->tensors[0] : nullptr;
    return gated_conv(call.features[b_], call.features[c_], call.features[v_], call.bank[taps_slot], tail);
  }

 private:
  std::size_t b_, c_, v_;
  std::int64_t width_, taps_;
};

}  // namespace

std::unique_ptr<Operator> gated_convolution(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::toeplitz || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || config.channel_mixing != ChannelMixing::diagonal ||
      !has_groups(config, {"B", "C", "v", "K"})) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (group.channels != config.width || group.repeat != 1) return nullptr;
    if (group.name != "K" && !is_plain_projection(group)) return nullptr;
  }
  const auto& taps = config.groups[static_cast<std::size_t>(config.group("K"))];
  const bool explicit_short = taps.parametrisation == Parametrisation::direct && taps.token_mixing == TokenMixing::toeplitz &&
                              taps.taps >= 1 && taps.taps <= kernels::max_short_conv_taps;
  if (!explicit_short) return nullptr;
  return std::make_unique<GatedConvolution>(config);
}

}  // namespace starling::operators
