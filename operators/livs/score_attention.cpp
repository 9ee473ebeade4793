// y_i = Σ_j w_ij v_j per head, w a function of the scores s_ij = rot(q_i) · rot(k_j) / √d_h over the keys that token i sees; k and
// v may have fewer heads, each read by `repeat` query heads. By nonlinearity:
//   softmax           w_ij = exp(s_ij) / Σ_j exp(s_ij)
//   ReLU, SiLU, GELU  w_ij = f(s_ij) / n_i, n_i the number of keys that token i sees: the mean keeps the size of y whatever the
//                     length, without coupling the scores (Wortsman et al. 2023, arXiv 2309.08586; SiLU as in HSTU, Zhai et
//                     al. 2024, arXiv 2402.17152)
//   none              w_ij = φ(q_i) · φ(k_j) / Σ_j φ(q_i) · φ(k_j), φ = elu + 1, no rotation: linear attention over few keys (over
//                     all of them it needs no scores: linear_attention.cpp)
// Token i sees all tokens up to itself; banded: the last `band` of these; block-diagonal: those in its block of `band` tokens.
// Differential softmax: each head of q and k is two sub-heads of half the width, rotated apart, and
//   y = (1 − λ₀) RMSNorm((softmax(q₁ k₁ᵀ) − λ softmax(q₂ k₂ᵀ)) v) per head;
// the norm has no weight of its own: it would only scale columns of the output projection behind it. Halves of legal
// heads are even, as the rotation needs. Among the sub-heads of q those that read one head of v stand together, first
// those of T₁, so that one call of the kernel makes both maps.
// State: the convolutions' last taps − 1 inputs, and k (rotated where it is) and v of the tokens that are still seen.
#include <ATen/ops/full.h>

#include <starling/operators/functions/attention.hpp>
#include <starling/operators/functions/differential.hpp>
#include <starling/operators/functions/history.hpp>
#include <starling/operators/functions/rms_norm.hpp>
#include <starling/operators/functions/rotation.hpp>
#include <starling/operators/functions/tensors.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

enum Own : std::size_t { out_own, lambda_own };

using kernels::AttentionScore;

AttentionScore score_of(Nonlinearity nonlinearity) {
  switch (nonlinearity) {
    case Nonlinearity::none:
      return AttentionScore::linear;
    case Nonlinearity::softmax:
      return AttentionScore::softmax;
    case Nonlinearity::relu:
      return AttentionScore::relu;
    case Nonlinearity::silu:
      return AttentionScore::silu;
    case Nonlinearity::gelu:
      break;
  }
  return AttentionScore::gelu;
}

class ScoreAttention final : public Operator {
 public:
  explicit ScoreAttention(const Config& config)
      : q_(static_cast<std::size_t>(config.group("q"))),
        k_(static_cast<std::size_t>(config.group("k"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        key_channels_(config.groups[k_].channels),
        value_channels_(config.groups[v_].channels),
        heads_{config.heads, config.heads / config.groups[k_].repeat, config.heads / config.groups[v_].repeat},
        scores_{.kind = score_of(config.nonlinearity), .sight = sight_of(config), .rotary = config.nonlinearity != Nonlinearity::none} {
    for (const auto group : {q_, k_, v_}) projected_.declare(config, group, bank_);
    projected_.declare_taps(config, bank_);
    own_.push_back(output_projection(config.width, config.width));
    if (!config.differential) return;
    differential_ = true;
    initial_lambda_ = initial_lambda(config.position);
    heads_.query *= 2;
    heads_.key *= 2;
    own_.push_back(lambda_vectors());
  }

  std::vector<StateSpec> state(GroupMask computes) const override {
    std::vector<StateSpec> specs;
    projected_.declare_tails(computes, specs);
    const auto limit = scores_.sight.limit();
    if (contains(computes, k_)) specs.push_back({.name = "k", .shape = {key_channels_}, .per_token = true, .limit = limit});
    if (contains(computes, v_)) specs.push_back({.name = "v", .shape = {value_channels_}, .per_token = true, .limit = limit});
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const bool computes_k = contains(call.computes, k_);
    const auto* kept = projected_.compute(call, call.x, call.state ? call.state->tensors.data() : nullptr);
    if (scores_.kind == AttentionScore::linear) return linear(call, kept);
    if (!call.state) {
      auto [y, k] = attention(features[q_], features[k_], features[v_], heads_, scores_, computes_k);
      features[k_] = std::move(k);
      return combined(y, call);
    }
    // The new keys and values join the history; what was read from another LIV is its history already.
    rotate(features[q_], features[q_], heads_.query, call.state->position);
    if (computes_k) rotate(features[k_], features[k_], heads_.key, call.state->position);
    join_history(call, kept);
    return combined(attend(features[q_], features[k_], features[v_], heads_, scores_), call);
  }

 private:
  /// Keys are kept and read before φ.
  at::Tensor linear(const Call& call, const at::Tensor* kept) const {
    auto& features = call.features;
    if (call.state) join_history(call, kept);
    const auto q = positive_features(features[q_]);
    const auto k = positive_features(features[k_]);
    if (call.state) return attend(q, k, features[v_], heads_, scores_);
    return attention(q, k, features[v_], heads_, scores_, false).y;
  }

  void join_history(const Call& call, const at::Tensor* kept) const {
    for (const auto group : {k_, v_}) {
      if (!contains(call.computes, group)) continue;
      call.features[group] = continue_history(*kept++, call.state->position, call.features[group], scores_.sight);
    }
  }

  /// The difference of the two maps, normalised per head; what is not differential stays as it is.
  at::Tensor combined(const at::Tensor& y, const Call& call) const {
    if (!differential_) return y;
    const auto heads = heads_.query / 2;
    const auto apart = difference_in_groups(y, lambda_of(call.own[lambda_own], initial_lambda_), heads_.value);
    const auto head_width = apart.size(2) / heads;
    const auto factor = at::full({head_width}, 1.0 - initial_lambda_, exact_options(call.x).requires_grad(false));
    return rms_norm(apart.view({apart.size(0), apart.size(1) * heads, head_width}), factor).view(apart.sizes());
  }

  std::size_t q_, k_, v_;
  std::int64_t key_channels_, value_channels_;
  Heads heads_;
  Scores scores_;
  ProjectedGroups projected_;
  bool differential_ = false;
  double initial_lambda_ = 0;
};

}  // namespace

std::unique_ptr<Operator> score_attention(const Config& config) {
  if (config.token_mixing != TokenMixing::low_rank || !has_groups(config, {"q", "k", "v"})) return nullptr;
  if (config.channel_mixing != ChannelMixing::grouped && config.channel_mixing != ChannelMixing::dense) return nullptr;
  if (config.nonlinearity == Nonlinearity::none && config.sparsity == Sparsity::none) return nullptr;
  if (config.differential && config.nonlinearity != Nonlinearity::softmax) return nullptr;
  for (const auto& group : config.groups) {
    if (!is_projected(config, group)) return nullptr;
    if (group.channels * group.repeat != config.width || config.heads % group.repeat != 0) return nullptr;
  }
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  if (named("q").repeat != 1) return nullptr;
  if (config.differential && (named("k").repeat != named("v").repeat || config.width / config.heads % 4 != 0)) return nullptr;
  return std::make_unique<ScoreAttention>(config);
}

}  // namespace starling::operators
