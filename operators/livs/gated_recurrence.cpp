// a = σ(W_a x + bias) with `states` decays per channel; h_t = a_t h_{t−1} + (1 − a_t) B_t v_t,
// y_t = Σ_n C_{t,n} h_{t,n}. State: h, and the convolutions' last taps − 1 inputs.
#include <starling/operators/functions/gated_scan.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

class GatedRecurrence final : public Operator {
 public:
  explicit GatedRecurrence(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        a_(static_cast<std::size_t>(config.group("A"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        width_(config.width),
        states_(config.groups[b_].channels) {
    projected_.declare(projection_of(config, a_, width_), bank_);
    for (const auto group : {v_, b_, c_}) projected_.declare(config, group, bank_);
    bias_slot_ = bank_.size();
    bank_.push_back({.name = "A.bias", .shape = {states_ * width_}, .fill = Fill::decay_bias, .group = static_cast<int>(a_)});
    projected_.declare_taps(config, bank_);
    own_.push_back(output_projection(width_, width_));
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs = {{.name = "h", .shape = {states_, width_}}};
    projected_.declare_tails(computes, specs);
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const auto* const h = call.state ? call.state->tensors.data() : nullptr;
    projected_.compute(call, call.x, h ? h + 1 : nullptr);
    return gated_scan({.v = features[v_], .gate = features[a_], .bias = call.bank[bias_slot_], .b = features[b_], .c = features[c_]}, h);
  }

 private:
  std::size_t b_, c_, a_, v_;
  std::int64_t width_, states_;
  std::size_t bias_slot_ = 0;
  ProjectedGroups projected_;
};

}  // namespace

std::unique_ptr<Operator> gated_recurrence(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::semi_separable || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || config.channel_mixing != ChannelMixing::diagonal ||
      !has_groups(config, {"B", "C", "A", "v"})) {
    return nullptr;
  }
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  for (const auto* const plain : {"B", "C", "v"}) {
    if (!is_projected(config, named(plain))) return nullptr;
  }
  const auto& decay = named("A");
  const auto states = named("B").channels;
  const bool plain = decay.token_mixing == TokenMixing::diagonal && decay.sparsity == Sparsity::none &&
                     decay.nonlinearity == Nonlinearity::none && decay.channel_mixing == ChannelMixing::dense;
  if (!plain || decay.parametrisation != Parametrisation::decay || decay.channels != states * config.width ||
      named("C").channels != states || named("v").channels != config.width) {
    return nullptr;
  }
  return std::make_unique<GatedRecurrence>(config);
}

}  // namespace starling::operators
