// y = softmax(rot(q) rot(k)ᵀ / √d_h + causal mask) v per head, q = W_q x, k = W_k x, v = W_v x; k and v may have fewer
// heads, each read by `repeat` query heads; each of q, k, v may pass a short convolution after its projection.
// Differential: each head of q and k is two sub-heads of half the width, rotated apart, and
//   y = (1 − λ₀) RMSNorm((softmax(q₁ k₁ᵀ) − λ softmax(q₂ k₂ᵀ)) v) per head;
// the norm has no weight of its own: it would only scale columns of the output projection behind it. Halves of legal
// heads are even, as the rotation needs. Among the sub-heads of q those that read one head of v stand together, first
// those of T₁, so that one call of the kernel makes both maps.
// State: the convolutions' last taps − 1 inputs, and k (rotated) and v of every token.
#include <ATen/ops/full.h>

#include <starling/operators/functions/attention.hpp>
#include <starling/operators/functions/differential.hpp>
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/rms_norm.hpp>
#include <starling/operators/functions/rotation.hpp>
#include <starling/operators/functions/short_conv.hpp>
#include <starling/operators/functions/tensors.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

enum Own : std::size_t { out_own, lambda_own };

class SoftmaxAttention final : public Operator {
 public:
  explicit SoftmaxAttention(const Config& config)
      : q_(static_cast<std::size_t>(config.group("q"))),
        k_(static_cast<std::size_t>(config.group("k"))),
        v_(static_cast<std::size_t>(config.group("v"))),
        key_channels_(config.groups[k_].channels),
        value_channels_(config.groups[v_].channels),
        heads_{config.heads, config.heads / config.groups[k_].repeat, config.heads / config.groups[v_].repeat} {
    for (const auto group : {q_, k_, v_}) bank_.push_back(projection_of(config, group, config.width));
    for (const auto group : {q_, k_, v_}) {
      if (config.groups[group].token_mixing != TokenMixing::toeplitz) continue;
      convolved_.push_back({group, bank_.size()});
      bank_.push_back(taps_of(config, group));
    }
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
    for (const auto& [group, slot] : convolved_) {
      if (!contains(computes, group)) continue;
      const auto& shape = bank_[slot].shape;
      specs.push_back({.name = bank_[slot].name + ".tail", .shape = {shape[1] - 1, shape[0]}});
    }
    if (contains(computes, k_)) specs.push_back({.name = "k", .shape = {key_channels_}, .per_token = true});
    if (contains(computes, v_)) specs.push_back({.name = "v", .shape = {value_channels_}, .per_token = true});
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    auto& features = call.features;
    const auto* kept = call.state ? call.state->tensors.data() : nullptr;
    project_groups(call, call.x, {{q_, 0}, {k_, 1}, {v_, 2}});
    for (const auto& [group, slot] : convolved_) {
      if (!contains(call.computes, group)) continue;
      features[group] = short_conv(features[group], call.bank[slot], kernels::ShortConvActivation::none, kept);
      if (kept) ++kept;
    }
    if (!call.state) {
      auto [y, k] = attention(features[q_], features[k_], features[v_], heads_, contains(call.computes, k_));
      features[k_] = std::move(k);
      return combined(y, call);
    }
    // The new keys and values join the history; what was read from another LIV is its history already.
    const auto position = call.state->position;
    rotate(features[q_], features[q_], heads_.query, position);
    if (contains(call.computes, k_)) {
      rotate(features[k_], features[k_], heads_.key, position);
      features[k_] = append(*kept++, position, features[k_]);
    }
    if (contains(call.computes, v_)) features[v_] = append(*kept, position, features[v_]);
    return combined(attend(features[q_], features[k_], features[v_], heads_), call);
  }

 private:
  /// The difference of the two maps, normalised per head; what is not differential stays as it is.
  at::Tensor combined(const at::Tensor& y, const Call& call) const {
    if (!differential_) return y;
    const auto heads = heads_.query / 2;
    const auto apart = difference_in_groups(y, lambda_of(call.own[lambda_own], initial_lambda_), heads_.value);
    const auto head_width = apart.size(2) / heads;
    const auto factor = at::full({head_width}, 1.0 - initial_lambda_, call.x.options().requires_grad(false));
    return rms_norm(apart.view({apart.size(0), apart.size(1) * heads, head_width}), factor).view(apart.sizes());
  }

  static at::Tensor append(const at::Tensor& history, std::int64_t position, const at::Tensor& entries) {
    history.narrow(1, position, entries.size(1)).copy_(entries);
    return history.narrow(1, 0, position + entries.size(1));
  }

  std::size_t q_, k_, v_;
  std::int64_t key_channels_, value_channels_;
  Heads heads_;
  bool differential_ = false;
  double initial_lambda_ = 0;
  std::vector<GroupSlot> convolved_;  ///< groups with a convolution, and the slots of their taps
};

}  // namespace

std::unique_ptr<Operator> softmax_attention(const Config& config) {
  if (config.token_mixing != TokenMixing::low_rank || config.sparsity != Sparsity::none || config.nonlinearity != Nonlinearity::softmax ||
      config.channel_mixing != ChannelMixing::grouped) {
    return nullptr;
  }
  if (!has_groups(config, {"q", "k", "v"})) return nullptr;
  for (const auto& group : config.groups) {
    if (!is_plain_projection(group) && !is_convolved_projection(group, Nonlinearity::none)) return nullptr;
    if (group.channels * group.repeat != config.width || config.heads % group.repeat != 0) return nullptr;
  }
  const auto named = [&](const char* name) -> const GroupConfig& { return config.groups[static_cast<std::size_t>(config.group(name))]; };
  if (named("q").repeat != 1) return nullptr;
  if (config.differential && (named("k").repeat != named("v").repeat || config.width / config.heads % 4 != 0)) return nullptr;
  return std::make_unique<SoftmaxAttention>(config);
}

}  // namespace starling::operators
