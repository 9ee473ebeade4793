// y_t = φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) v_sᵀ / φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) per head, φ = elu + 1, q, k, v dense projections of x, no
// rotation. State: S = Σ φ(k) vᵀ and z = Σ φ(k). Sharing: the features k and v are the projections, which a reader uses with
// its own q. In generation z follows from k and S from k and v, so that a reader of k continues its owner's z and keeps its
// own S, a reader of v keeps both, and a reader of k and v keeps nothing: owners export S and z as the new tokens find them.
#include <starling/operators/functions/linear_attention.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

class LinearAttention final : public Operator {
 public:
  explicit LinearAttention(const Config& config)
      : q_(static_cast<std::size_t>(config.group("q"))),
        k_(static_cast<std::size_t>(config.group("k"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        state_export_(config.groups.size()),
        key_sum_export_(config.groups.size() + 1),
        width_(config.width),
        heads_(config.heads) {
    for (const auto group : {q_, k_, v_}) bank_.push_back(projection_of(config, group, width_));
    own_.push_back(output_projection(width_, width_));
  }

  std::size_t exports() const override { return 2; }

  std::vector<StateSpec> state(GroupMask computes) const override { return state_given(computes, 0); }
  std::vector<StateSpec> state_given(GroupMask computes, GroupMask given) const override {
    std::vector<StateSpec> specs;
    const auto head_width = width_ / heads_;
    if (contains(computes, k_) || contains(computes | given, v_)) specs.push_back({.name = "S", .shape = {heads_, head_width, head_width}});
    if (contains(computes, k_)) specs.push_back({.name = "z", .shape = {width_}});
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    project_groups(call, call.x, {{q_, 0}, {k_, 1}, {v_, 2}});
    auto& features = call.features;
    if (!call.state) return linear_attention(features[q_], features[k_], features[v_], heads_);
    const bool computes_k = contains(call.computes, k_);
    const bool has_values = contains(call.computes | call.given, v_);
    const bool keeps_state = computes_k || has_values;
    const auto& kept = call.state->tensors;
    if (computes_k && has_values) {
      features[state_export_] = kept[0].clone();
      features[key_sum_export_] = kept[1].clone();
    }
    return continue_linear_attention(features[q_], features[k_], features[v_], heads_,
                                     {.state = keeps_state ? kept[0] : features[state_export_],
                                      .key_sum = computes_k ? kept[1] : features[key_sum_export_],
                                      .carry_state = keeps_state,
                                      .carry_key_sum = computes_k});
  }

 private:
  std::size_t q_, k_, v_;
  std::size_t state_export_, key_sum_export_;
  std::int64_t width_, heads_;
};

}  // namespace

std::unique_ptr<Operator> linear_attention(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::low_rank || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || config.channel_mixing != ChannelMixing::grouped ||
      !has_groups(config, {"q", "k", "v"})) {
    return nullptr;
  }
  for (const auto& group : config.groups) {
    if (!is_plain_projection(group) || group.channels != config.width || group.repeat != 1) return nullptr;
  }
  return std::make_unique<LinearAttention>(config);
}

}  // namespace starling::operators
