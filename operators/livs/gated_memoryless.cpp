// y = act(gate) ⊙ value, gate = W_g x, value = W_u x: position-wise, nothing is kept between tokens.
#include <starling/operators/functions/gated_unit.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

class GatedMemoryless final : public Operator {
 public:
  GatedMemoryless(const Config& config, kernels::Gate activation)
      : gate_(static_cast<std::size_t>(config.group("gate"))),
        value_(static_cast<std::size_t>(config.group("value"))),
        activation_(activation) {
    for (const auto group : {gate_, value_}) bank_.push_back(projection_of(config, group, config.width));
    own_.push_back(output_projection(config.width, config.groups[value_].channels));
  }

  std::vector<StateSpec> state(GroupMask) const override { return {}; }

  at::Tensor forward(const Call& call) const override {
    project_groups(call, call.x, {{gate_, 0}, {value_, 1}});
    return gated_unit(call.features[gate_], call.features[value_], activation_);
  }

 private:
  std::size_t gate_, value_;
  kernels::Gate activation_;
};

}  // namespace

std::unique_ptr<Operator> gated_memoryless(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::diagonal || config.sparsity != Sparsity::none ||
      config.channel_mixing != ChannelMixing::dense || !has_groups(config, {"gate", "value"})) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (!is_plain_projection(group) || group.repeat != 1 || group.channels != config.groups[0].channels) return nullptr;
  }
  switch (config.nonlinearity) {
    case Nonlinearity::silu:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::silu);
    case Nonlinearity::gelu:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::gelu);
    case Nonlinearity::relu:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::relu);
    case Nonlinearity::none:
    case Nonlinearity::softmax:
      break;
  }
  return nullptr;
}

}  // namespace starling::operators
