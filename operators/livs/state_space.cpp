// y = SiLU(z) ⊙ (2 Re Σ_n C_n x_n + D v) with 32 pairs of conjugate states per channel,
//   x_t = Ā x_{t−1} + B̄ v_t                                     (S4D; Gu et al. 2022, arXiv 2206.11893), or
//   x_t = (Ā + (1 − |Ā|) b tanh(v_t)) ⊙ x_{t−1} + B̄ v_t          (liquid; |b| < 1, so that decays stay inside the unit circle),
// zero-order hold: Ā = exp(Δ A), B̄ = B (Ā − 1) / A, A = −exp(A.log) + i A.imaginary, Δ = exp(A.step) per channel, b = l / √(1 +
// |l|²) with l = A.liquid. A, B and C are weights, so that LIVs which share the features B and C share these tensors. Start
// (S4D-Lin): A_n = −½ + i π n, Δ log-uniform in [10⁻³, 10⁻¹], B = 1, C complex normal. State: x without its constant factor
// B̄, real parts then imaginary ones; and the convolutions' last taps − 1 inputs. W_o is a Monarch matrix where the channel mixing
// of the operator is (S4-Monarch).
#include <starling/operators/functions/gated_unit.hpp>
#include <starling/operators/functions/state_space.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

#include <algorithm>
#include <numbers>

namespace starling::operators {
namespace {

constexpr std::int64_t pairs = 32;
constexpr double log_of_half = -std::numbers::ln2;

class StateSpace final : public Operator {
 public:
  explicit StateSpace(const Config& config)
      : b_(static_cast<std::size_t>(config.group("B"))),
        c_(static_cast<std::size_t>(config.group("C"))),
        a_(static_cast<std::size_t>(config.group("A"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        z_(static_cast<std::size_t>(config.group("z"))),
        width_(config.width) {
    const auto a_group = static_cast<int>(a_);
    for (const auto group : {v_, z_}) projected_.declare(config, group, bank_);
    b_slot_ = bank_.size();
    bank_.push_back({.name = "B", .shape = {2 * pairs, width_}, .fill = Fill::complex_one, .group = static_cast<int>(b_)});
    bank_.push_back(
        {.name = "C", .shape = {2 * pairs, width_}, .fill = Fill::normal, .scale = std::numbers::sqrt2 / 2, .group = static_cast<int>(c_)});
    bank_.push_back({.name = "A.log", .shape = {pairs, width_}, .fill = Fill::constant, .scale = log_of_half, .group = a_group});
    bank_.push_back({.name = "A.imaginary", .shape = {pairs, width_}, .fill = Fill::harmonics, .group = a_group});
    bank_.push_back({.name = "A.step", .shape = {width_}, .fill = Fill::log_step, .group = a_group});
    liquid_ = config.groups[a_].parametrisation == Parametrisation::liquid;
    if (liquid_) bank_.push_back({.name = "A.liquid", .shape = {2 * pairs, width_}, .fill = Fill::normal, .scale = 0.1, .group = a_group});
    projected_.declare_taps(config, bank_);
    monarch_output_ = config.channel_mixing == ChannelMixing::monarch;
    own_ = monarch_output_ ? monarch_output_projection(width_, width_) : std::vector{output_projection(width_, width_)};
    own_.push_back({.name = "D", .shape = {width_}, .fill = Fill::one});
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs = {{.name = "x", .shape = {2 * pairs, width_}}};
    projected_.declare_tails(computes, specs);
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const auto* const kept = call.state ? call.state->tensors.data() : nullptr;
    projected_.compute(call, call.x, kept ? kept + 1 : nullptr);
    const auto* const of_a = &call.bank[b_slot_ + 2];
    if (contains(call.computes, b_)) features[b_] = call.bank[b_slot_];
    if (contains(call.computes, c_)) features[c_] = call.bank[b_slot_ + 1];
    const at::Tensor none;
    const auto& skip = call.own.back();
    const StateSpaceWeights weights{of_a[0], of_a[1], of_a[2], features[b_], features[c_], skip, liquid_ ? of_a[3] : none};
    if (!call.state) return gated_unit(features[z_], state_space(features[v_], weights), kernels::Gate::silu);
    auto& derived = call.state->derived;
    if (derived.empty()) derived = discretised(weights);
    return gated_unit(features[z_], continue_state_space(features[v_], derived, skip, *kept), kernels::Gate::silu);
  }

  at::Tensor output(const at::Tensor& residual, const at::Tensor& mixed, const Tensors& own) const override {
    return monarch_output_ ? add_monarch_projection(residual, mixed, own) : Operator::output(residual, mixed, own);
  }

 private:
  std::size_t b_, c_, a_, v_, z_;
  std::int64_t width_;
  std::size_t b_slot_ = 0;  ///< then C, and what A is made of
  bool liquid_ = false;
  ProjectedGroups projected_;
  bool monarch_output_ = false;
};

/// Weights per channel, the same at every token.
bool is_direct(GroupConfig group, Parametrisation parametrisation) {
  return group.parametrisation == parametrisation && group.token_mixing == TokenMixing::diagonal && group.sparsity == Sparsity::none &&
         group.nonlinearity == Nonlinearity::none && group.channel_mixing == ChannelMixing::diagonal;
}

}  // namespace

std::unique_ptr<Operator> state_space(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::semi_separable || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none ||
      (config.channel_mixing != ChannelMixing::diagonal && config.channel_mixing != ChannelMixing::monarch) ||
      !has_groups(config, {"B", "C", "A", "v", "z"})) {
    return nullptr;
  }
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  for (const auto& group : config.groups) {
    if (group.channels != config.width || group.repeat != 1) return nullptr;
  }
  const bool direct = is_direct(named("B"), Parametrisation::direct) && is_direct(named("C"), Parametrisation::direct) &&
                      (is_direct(named("A"), Parametrisation::direct) || is_direct(named("A"), Parametrisation::liquid));
  if (!direct || !is_projected(config, named("v")) || !is_projected(config, named("z"))) return nullptr;
  return std::make_unique<StateSpace>(config);
}

}  // namespace starling::operators
