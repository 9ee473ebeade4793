// S6: v and z are functions of x, B and C of v; Δ = softplus(W_up W_down v + bias), A = −exp(A_log);
// h_t = exp(Δ A) h_{t−1} + Δ B v, y = SiLU(z) ⊙ (C h + D v). State: h, and the convolutions' last taps − 1 inputs.
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/selective_scan.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

#include <cmath>

namespace starling::operators {
namespace {

/// Behind the projections.
enum Slot : std::size_t { up_slot, bias_slot, decay_slot };
enum Own : std::size_t { out_own, skip_own };

class SelectiveStateSpace final : public Operator {
 public:
  explicit SelectiveStateSpace(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        a_(static_cast<std::size_t>(config.group("A"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        z_(static_cast<std::size_t>(config.group("z"))),
        width_(config.width),
        states_(config.groups[b_].channels) {
    const auto rank = (width_ + 15) / 16;
    const auto a_group = static_cast<int>(a_);
    for (const auto group : {v_, z_}) of_x_.declare(config, group, bank_);
    for (const auto group : {b_, c_}) of_v_.declare(config, group, bank_);
    of_v_.declare({.name = "A.down", .shape = {rank, width_}, .matrix = true, .group = a_group}, bank_);
    first_slot_ = bank_.size();
    bank_.push_back({.name = "A.up",
                     .shape = {width_, rank},
                     .matrix = true,
                     .fill = Fill::uniform,
                     .scale = 1.0 / std::sqrt(static_cast<double>(rank)),
                     .group = a_group});
    bank_.push_back({.name = "A.bias", .shape = {width_}, .fill = Fill::step_bias, .group = a_group});
    bank_.push_back({.name = "A.log", .shape = {width_, states_}, .fill = Fill::state_decay, .group = a_group});
    of_x_.declare_taps(config, bank_);
    of_v_.declare_taps(config, bank_);
    own_ = {output_projection(width_, width_), {.name = "D", .shape = {width_}, .fill = Fill::one}};
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs = {{.name = "h", .shape = {width_, states_}}};
    of_x_.declare_tails(computes, specs);
    of_v_.declare_tails(computes, specs);
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const auto* const h = call.state ? call.state->tensors.data() : nullptr;
    const auto* const tails = of_x_.compute(call, call.x, h ? h + 1 : nullptr);
    of_v_.compute(call, features[v_], tails);
    features[a_] = project(features[a_], {call.bank[first_slot_ + up_slot]})[0];
    return selective_scan({.v = features[v_],
                           .delta = features[a_],
                           .bias = call.bank[first_slot_ + bias_slot],
                           .a_log = call.bank[first_slot_ + decay_slot],
                           .b = features[b_],
                           .c = features[c_],
                           .skip = call.own[skip_own],
                           .z = features[z_]},
                          h);
  }

 private:
  std::size_t b_, c_, a_, v_, z_;
  std::int64_t width_, states_;
  std::size_t first_slot_ = 0;
  ProjectedGroups of_x_, of_v_;
};

}  // namespace

std::unique_ptr<Operator> selective_state_space(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::semi_separable || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || config.channel_mixing != ChannelMixing::diagonal ||
      !has_groups(config, {"B", "C", "A", "v", "z"})) {
    return nullptr;
  }
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  for (const auto* const projected : {"B", "C", "v", "z"}) {
    if (!is_projected(config, named(projected))) return nullptr;
  }
  for (const auto* const full : {"A", "v", "z"}) {
    if (named(full).channels != config.width) return nullptr;
  }
  if (named("A").parametrisation != Parametrisation::selective || named("B").channels != named("C").channels) return nullptr;
  return std::make_unique<SelectiveStateSpace>(config);
}

}  // namespace starling::operators
