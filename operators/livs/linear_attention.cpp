// y_t = φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) v_sᵀ / φ(q_t)ᵀ Σ_{s ≤ t} φ(k_s) per head, φ = elu + 1, no rotation; k and v may have fewer
// heads, each read by `repeat` query heads. State: the convolutions' last taps − 1 inputs, S = Σ φ(k) vᵀ and z = Σ φ(k).
// Sharing: the features k and v are the projections, which a reader uses with its own q. In generation z follows from k and S
// from k and v, so that a reader of k continues its owner's z and keeps its own S, a reader of v keeps both, and a reader of k
// and v keeps nothing: owners export S and z as the new tokens find them.
#include <ATen/ops/stack.h>

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
        repeat_(config.groups[k_].repeat),
        heads_(config.heads / repeat_),
        head_width_(config.width / config.heads) {
    for (const auto group : {q_, k_, v_}) projected_.declare(config, group, bank_);
    projected_.declare_taps(config, bank_);
    own_.push_back(output_projection(config.width, config.width));
  }

  std::size_t exports() const override { return 2; }

  std::vector<StateSpec> state(GroupMask computes) const override { return state_given(computes, 0); }
  std::vector<StateSpec> state_given(GroupMask computes, GroupMask given) const override {
    std::vector<StateSpec> specs;
    projected_.declare_tails(computes, specs);
    if (contains(computes, k_) || contains(computes | given, v_)) {
      specs.push_back({.name = "S", .shape = {heads_, head_width_, head_width_}});
    }
    if (contains(computes, k_)) specs.push_back({.name = "z", .shape = {heads_ * head_width_}});
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const auto* const kept = projected_.compute(call, call.x, call.state ? call.state->tensors.data() : nullptr);
    if (!call.state) {
      return by_query_heads(features[q_],
                            [&](const at::Tensor& q, bool) { return linear_attention(q, features[k_], features[v_], heads_); });
    }
    const bool computes_k = contains(call.computes, k_);
    const bool has_values = contains(call.computes | call.given, v_);
    const bool keeps_state = computes_k || has_values;
    if (computes_k && has_values) {
      features[state_export_] = kept[0].clone();
      features[key_sum_export_] = kept[1].clone();
    }
    return by_query_heads(features[q_], [&](const at::Tensor& q, bool last) {
      return continue_linear_attention(q, features[k_], features[v_], heads_,
                                       {.state = keeps_state ? kept[0] : features[state_export_],
                                        .key_sum = computes_k ? kept[1] : features[key_sum_export_],
                                        .carry_state = keeps_state && last,
                                        .carry_key_sum = computes_k && last});
    });
  }

 private:
  /// mixed(q, whether it is the last) for the first query heads of all heads of k and v, then for the second, …
  template <class Mixed>
  at::Tensor by_query_heads(const at::Tensor& q, Mixed mixed) const {
    if (repeat_ == 1) return mixed(q, true);
    const auto batch = q.size(0);
    const auto length = q.size(1);
    const auto apart = q.reshape({batch, length, heads_, repeat_, head_width_});
    Tensors parts;
    for (std::int64_t i = 0; i < repeat_; ++i) {
      const auto of_head = apart.select(3, i).reshape({batch, length, heads_ * head_width_});
      parts.push_back(mixed(of_head, i + 1 == repeat_).view({batch, length, heads_, head_width_}));
    }
    return at::stack(parts, 3).view({batch, length, q.size(2)});
  }

  std::size_t q_, k_, v_;
  std::size_t state_export_, key_sum_export_;
  std::int64_t repeat_, heads_, head_width_;  ///< heads of k and v
  ProjectedGroups projected_;
};

}  // namespace

std::unique_ptr<Operator> linear_attention(const Config& config) {
  if (config.differential || config.token_mixing != TokenMixing::low_rank || config.sparsity != Sparsity::none ||
      config.nonlinearity != Nonlinearity::none || !has_groups(config, {"q", "k", "v"})) {
    return nullptr;
  }
  if (config.channel_mixing != ChannelMixing::grouped && config.channel_mixing != ChannelMixing::dense) return nullptr;
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  for (const auto& group : config.groups) {
    if (!is_projected(config, group) || group.channels * group.repeat != config.width) return nullptr;
  }
  if (named("q").repeat != 1 || named("k").repeat != named("v").repeat || config.heads % named("k").repeat != 0) return nullptr;
  return std::make_unique<LinearAttention>(config);
}

}  // namespace starling::operators
