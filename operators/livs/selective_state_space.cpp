// S6: v = SiLU(conv(W_v x)), z = W_z x; B = W_B v, C = W_C v, Δ = softplus(W_up W_down v + bias), A = −exp(A_log);
// h_t = exp(Δ A) h_{t−1} + Δ B v, y = SiLU(z) ⊙ (C h + D v). State: h, and the last taps − 1 inputs of the convolution.
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/selective_scan.hpp>
#include <starling/operators/functions/short_conv.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

#include <cmath>

namespace starling::operators {
namespace {

enum Slot : std::size_t { v_slot, z_slot, b_slot, c_slot, down_slot, up_slot, bias_slot, decay_slot, taps_slot };
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
        states_(config.groups[b_].channels),
        taps_(config.groups[v_].taps) {
    const auto rank = (width_ + 15) / 16;
    const auto a_group = static_cast<int>(a_);
    bank_ = {projection_of(config, v_, width_),
             projection_of(config, z_, width_),
             projection_of(config, b_, width_),
             projection_of(config, c_, width_),
             {.name = "A.down", .shape = {rank, width_}, .matrix = true, .group = a_group},
             {.name = "A.up",
              .shape = {width_, rank},
              .matrix = true,
              .fill = Fill::uniform,
              .scale = 1.0 / std::sqrt(static_cast<double>(rank)),
              .group = a_group},
             {.name = "A.bias", .shape = {width_}, .fill = Fill::step_bias, .group = a_group},
             {.name = "A.log", .shape = {width_, states_}, .fill = Fill::state_decay, .group = a_group},
             taps_of(config, v_)};
    own_ = {output_projection(width_, width_), {.name = "D", .shape = {width_}, .fill = Fill::one}};
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs = {{.name = "h", .shape = {width_, states_}}};
    if (contains(computes, v_)) specs.push_back({.name = "tail", .shape = {taps_ - 1, width_}});
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const auto* const h = call.state ? &call.state->tensors[0] : nullptr;
    project_groups(call, call.x, {{v_, v_slot}, {z_, z_slot}});
    if (contains(call.computes, v_)) {
      const auto* const tail = call.state ? &call.state->tensors[1] : nullptr;
      features[v_] = short_conv(features[v_], call.bank[taps_slot], kernels::ShortConvActivation::silu, tail);
    }
    project_groups(call, features[v_], {{b_, b_slot}, {c_, c_slot}, {a_, down_slot}});
    features[a_] = project(features[a_], {call.bank[up_slot]})[0];
    return selective_scan({.v = features[v_],
                           .delta = features[a_],
                           .bias = call.bank[bias_slot],
                           .a_log = call.bank[decay_slot],
                           .b = features[b_],
                           .c = features[c_],
                           .skip = call.own[skip_own],
                           .z = features[z_]},
                          h);
  }

 private:
  std::size_t b_, c_, a_, v_, z_;
  std::int64_t width_, states_, taps_;
};

}  // namespace

std::unique_ptr<Operator> selective_state_space(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::semi_separable || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || config.channel_mixing != ChannelMixing::diagonal ||
      !has_groups(config, {"B", "C", "A", "v", "z"})) {
    return nullptr;
  }
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  for (const auto* const plain : {"B", "C", "z"}) {
    if (!is_plain_projection(named(plain))) return nullptr;
  }
  for (const auto* const full : {"A", "v", "z"}) {
    if (named(full).channels != config.width) return nullptr;
  }
  if (!is_convolved_projection(named("v"), Nonlinearity::silu) || named("A").parametrisation != Parametrisation::selective ||
      named("B").channels != named("C").channels) {
    return nullptr;
  }
  return std::make_unique<SelectiveStateSpace>(config);
}

}  // namespace starling::operators
