// y = act(gate) ⊙ value. State: the convolutions' last taps − 1 inputs; where the groups have none, nothing is kept between
// tokens.
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
    for (const auto group : {gate_, value_}) projected_.declare(config, group, bank_);
    projected_.declare_taps(config, bank_);
    own_.push_back(output_projection(config.width, config.groups[value_].channels));
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs;
    projected_.declare_tails(computes, specs);
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    projected_.compute(call, call.x, call.state ? call.state->tensors.data() : nullptr);
    return gated_unit(call.features[gate_], call.features[value_], activation_);
  }

 private:
  std::size_t gate_, value_;
  kernels::Gate activation_;
  ProjectedGroups projected_;
};

}  // namespace

std::unique_ptr<Operator> gated_memoryless(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::diagonal || config.sparsity != Sparsity::none ||
      config.channel_mixing != ChannelMixing::dense || !has_groups(config, {"gate", "value"})) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (!is_projected(config, group) || group.repeat != 1 || group.channels != config.groups[0].channels) return nullptr;
  }
  switch (config.nonlinearity) {
    case Nonlinearity::silu:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::silu);
    case Nonlinearity::gelu:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::gelu);
    case Nonlinearity::relu:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::relu);
    case Nonlinearity::none:
      return std::make_unique<GatedMemoryless>(config, kernels::Gate::identity);
    case Nonlinearity::softmax:
      break;
  }
  return nullptr;
}

}  // namespace starling::operators
