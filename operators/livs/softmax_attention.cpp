// y = softmax(rot(q) rot(k)ᵀ / √d_h + causal mask) v per head, q = W_q x, k = W_k x, v = W_v x; k and v may have fewer
// heads, each read by `repeat` query heads; each of q, k, v may pass a short convolution after its projection. State:
// the convolutions' last taps − 1 inputs, and k (rotated) and v of every token.
#include <starling/operators/functions/attention.hpp>
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/rotation.hpp>
#include <starling/operators/functions/short_conv.hpp>
#include <starling/operators/functions/tensors.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

namespace starling::operators {
namespace {

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
      return y;
    }
    // The new keys and values join the history; what was read from another LIV is its history already.
    const auto position = call.state->position;
    rotate(features[q_], features[q_], heads_.query, position);
    if (contains(call.computes, k_)) {
      rotate(features[k_], features[k_], heads_.key, position);
      features[k_] = append(*kept++, position, features[k_]);
    }
    if (contains(call.computes, v_)) features[v_] = append(*kept, position, features[v_]);
    return attend(features[q_], features[k_], features[v_], heads_);
  }

 private:
  static at::Tensor append(const at::Tensor& history, std::int64_t position, const at::Tensor& entries) {
    history.narrow(1, position, entries.size(1)).copy_(entries);
    return history.narrow(1, 0, position + entries.size(1));
  }

  std::size_t q_, k_, v_;
  std::int64_t key_channels_, value_channels_;
  Heads heads_;
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
  if (config.groups[static_cast<std::size_t>(config.group("q"))].repeat != 1) return nullptr;
  return std::make_unique<SoftmaxAttention>(config);
}

}  // namespace starling::operators
