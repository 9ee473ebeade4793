#include <starling/genome/accounting.hpp>

#include <algorithm>

#include <starling/base/error.hpp>
#include <starling/base/logit_chunk.hpp>
#include <starling/base/monarch.hpp>
#include <starling/genome/legality.hpp>
#include <starling/genome/plan.hpp>

namespace starling::genome {
namespace {

/// Operations per element of a recurrence's state and token; the header lists them.
constexpr std::int64_t scan_flops = 7;

/// Numbers of state per channel of a complex state space: 32 pairs of conjugates, of which one is kept.
constexpr std::int64_t state_space_size = 64;

/// Of a scan's states, one in so many tokens is kept for the backward pass.
constexpr std::int64_t kept_states = 64;

/// Units in a layer of the network of an implicit kernel.
constexpr std::int64_t filter_width = 64;

/// A class at a width: what its feature groups cost where they are computed, and what every LIV has for itself.
class ClassAccount {
 public:
  ClassAccount(const LivClass& liv_class, const Featurizer& featurizer, const Dimensions& dimensions)
      : class_(liv_class), groups_(featurizer.groups), width_(dimensions.width), length_(dimensions.length), band_(dimensions.band) {}

  /// Weights of a featurizer bank that holds the groups of `mask`.
  Parameters bank(GroupMask mask) const {
    Parameters parameters;
    for (const auto* group : selected(mask)) {
      parameters.matrices += matrices(*group);
      parameters.vectors += vectors(*group);
    }
    return parameters;
  }

  /// What no LIV shares: W_o, RMSNorm, the skip D of a selective recurrence or a state space, the vectors of λ.
  Parameters own() const {
    Parameters parameters;
    parameters.matrices = output_matrix();
    parameters.vectors = is_selective() || is_state_space() ? 2 * width_ : width_;
    if (class_.differential) parameters.vectors += lambda_elements;
    return parameters;
  }

  Cache cache(GroupMask computes) const {
    Cache cache;
    for (const auto* group : selected(computes)) {
      if (is_convolved(*group)) cache.fixed += (group->kernel - 1) * channels(*group);
      if (keeps_tokens() && (is_one_of(*group, "k") || is_one_of(*group, "v"))) {
        (is_sparse() ? cache.banded_per_token : cache.dynamic_per_token) += channels(*group);
      }
    }
    if (is_linear()) {
      const bool computes_keys = computes >> index("k") & 1u;
      const bool computes_values = computes >> index("v") & 1u;
      // States of as many heads as k has.
      if (computes_keys || computes_values) cache.fixed += maps() * channels(named("k")) * head_width();
      if (computes_keys) cache.fixed += maps() * channels(named("k"));
    }
    if (class_.family == Family::recurrence) cache.fixed += maps() * width_ * state_size();
    if (class_.family == Family::gated_convolution && !is_implicit()) cache.fixed += maps() * (lags(named("K")) - 1) * width_;
    if (is_implicit()) {
      (is_sparse() ? cache.banded_per_token : cache.windowed_per_token) = maps() * width_;
      if (!is_sparse()) cache.window = length_;
    }
    if (cache.banded_per_token > 0) cache.band = band_;
    return cache;
  }

  std::int64_t forward_flops(GroupMask computes, std::int64_t length) const {
    std::int64_t flops = projection_flops(computes) + mixing_flops(length);
    for (const auto* group : selected(computes)) {
      if (is_convolved(*group)) flops += 2 * group->kernel * channels(*group);
    }
    return flops;
  }

  /// Those of them that are products of matrices.
  std::int64_t product_flops(GroupMask computes, std::int64_t length) const {
    return projection_flops(computes) + (keeps_tokens() ? mixing_flops(length) : 0);
  }

  /// Elements per token of all its features that are functions of the token.
  std::int64_t feature_channels() const {
    std::int64_t sum = 0;
    for (const auto& group : groups_) {
      const auto of = group.parametrisation;
      if (of == Parametrisation::input || of == Parametrisation::decay) sum += channels(group);
      if (of == Parametrisation::selective) sum += width_;
    }
    return sum;
  }

  /// Channels that go into W_o.
  std::int64_t mixed_channels() const {
    const auto& value = named(class_.family == Family::memoryless ? "value" : "v");
    return channels(value) * value.repeat;
  }

  Activations activations(GroupMask computes) const {
    Activations kept{.working = width_ + mixed_channels()};
    for (const auto* group : selected(computes)) {
      switch (group->parametrisation) {
        case Parametrisation::input:
        case Parametrisation::decay:
          kept.working += channels(*group) * (1 + (is_convolved(*group) ? 1 : 0) + (keeps_inputs(*group) ? 1 : 0) +
                                              (group->channel_mixing == ChannelMixing::monarch ? 1 : 0));
          break;
        case Parametrisation::selective:
          kept.working += width_ + (width_ + 15) / 16;
          break;
        case Parametrisation::implicit:
          kept.shared += length_ * (2 * channels(*group) + 6 * filter_width);
          break;
        case Parametrisation::direct:
        case Parametrisation::liquid:
          break;
      }
    }
    if (class_.op.channel_mixing == ChannelMixing::monarch) kept.working += width_;
    switch (class_.family) {
      case Family::attention:
        for (const auto& group : groups_) {
          if (is_linear() || !(is_one_of(group, "q") || is_one_of(group, "k"))) continue;
          kept.working += channels(group) * (has_feature_map() ? 3 : 1);
        }
        break;
      case Family::recurrence:
        if (is_state_space()) kept.working += maps() * width_;
        kept.exact += maps() * width_ * state_size() / kept_states + maps() * width_ * state_size() / length_;
        break;
      case Family::gated_convolution:
        kept.working += 2 * maps() * width_;
        // The last block is filled up: B, C and v exist in that length too.
        if (class_.op.sparsity == Sparsity::block_diagonal && length_ > band_ && length_ % band_ != 0) {
          const auto filled = (length_ + band_ - 1) / band_ * band_;
          kept.working += (3 * maps() * width_ * filled + length_ - 1) / length_;
        }
        break;
      case Family::memoryless:
        break;
    }
    if (class_.differential) kept.working += 3 * mixed_channels();
    return kept;
  }

 private:
  std::int64_t channels(const FeatureGroup& group) const { return group_channels(group, width_); }

  /// What its nonlinearity is taken of is needed once more for the gradient; a convolution takes that of SiLU along.
  static bool keeps_inputs(const FeatureGroup& group) {
    return group.nonlinearity == Nonlinearity::gelu || (group.nonlinearity == Nonlinearity::silu && !is_convolved(group));
  }

  /// Attention with φ(q) φ(k)ᵀ in place of a softmax, over a band.
  bool has_feature_map() const { return class_.op.nonlinearity == Nonlinearity::none; }

  bool is_sparse() const { return class_.op.sparsity != Sparsity::none; }

  /// Attention whose map is a function of sums over all tokens keeps the sums, not the tokens.
  bool is_linear() const { return class_.family == Family::attention && class_.op.nonlinearity == Nonlinearity::none && !is_sparse(); }
  bool keeps_tokens() const { return class_.family == Family::attention && !is_linear(); }

  std::int64_t head_width() const { return class_.op.channel_mixing == ChannelMixing::dense ? width_ : width_ / heads_at(width_); }

  /// The group of that name, or its second in a differential class.
  static bool is_one_of(const FeatureGroup& group, std::string_view name) {
    return group.name == name || (group.name.size() == name.size() + 1 && group.name.starts_with(name) && group.name.back() == '2');
  }

  /// Lags of an explicit K that are there.
  std::int64_t lags(const FeatureGroup& kernel) const {
    const std::int64_t taps = kernel.kernel;
    return is_sparse() ? std::min(taps, band_) : taps;
  }

  /// Pairs of tokens, the two of a pair maybe the same, of which one sees the other, in a sequence.
  std::int64_t pairs(std::int64_t length) const {
    const auto causal = [](std::int64_t tokens) { return tokens * (tokens + 1) / 2; };
    if (!is_sparse() || length <= band_) return causal(length);
    if (class_.op.sparsity == Sparsity::banded) return causal(band_) + (length - band_) * band_;
    return length / band_ * causal(band_) + causal(length % band_);
  }

  /// ⌊factor · pairs / length⌋. The product itself would overflow from some 10⁷ tokens on.
  std::int64_t per_token(std::int64_t factor, std::int64_t length) const {
    const auto all = pairs(length);
    return factor * (all / length) + factor * (all % length) / length;
  }

  std::size_t index(std::string_view name) const { return static_cast<std::size_t>(&named(name) - groups_.data()); }

  const FeatureGroup& named(std::string_view name) const {
    for (const auto& group : groups_) {
      if (group.name == name) return group;
    }
    throw UserError("class " + class_.name + ": its featurizer has no group '" + std::string(name) + "'");
  }

  std::vector<const FeatureGroup*> selected(GroupMask mask) const {
    std::vector<const FeatureGroup*> groups;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (mask >> i & 1u) groups.push_back(&groups_[i]);
    }
    return groups;
  }

  static bool is_convolved(const FeatureGroup& group) {
    return group.parametrisation == Parametrisation::input && group.token_mixing == TokenMixing::toeplitz;
  }

  bool is_selective() const { return class_.family == Family::recurrence && named("A").parametrisation == Parametrisation::selective; }

  /// A is learned: then B and C are too, and states are complex.
  bool is_state_space() const {
    if (class_.family != Family::recurrence) return false;
    const auto of_a = named("A").parametrisation;
    return of_a == Parametrisation::direct || of_a == Parametrisation::liquid;
  }

  bool is_implicit() const { return class_.family == Family::gated_convolution && named("K").parametrisation == Parametrisation::implicit; }

  bool is_liquid() const { return named("A").parametrisation == Parametrisation::liquid; }

  /// Token mixings T is made of.
  std::int64_t maps() const { return class_.differential ? 2 : 1; }

  /// Numbers of state per channel of a recurrence.
  std::int64_t state_size() const { return is_state_space() ? state_space_size : channels(named("B")); }

  std::int64_t matrices(const FeatureGroup& group) const {
    switch (group.parametrisation) {
      case Parametrisation::input:
      case Parametrisation::decay:
        return projection(group, width_, channels(group));
      case Parametrisation::direct:
      case Parametrisation::implicit:
      case Parametrisation::liquid:
        return 0;
      case Parametrisation::selective:
        return 2 * width_ * ((width_ + 15) / 16);  // Δ: d → ⌈d/16⌉ → d
    }
    return 0;
  }

  std::int64_t vectors(const FeatureGroup& group) const {
    switch (group.parametrisation) {
      case Parametrisation::input:
        return ((is_convolved(group) ? group.kernel : 0) + (group.channel_mixing == ChannelMixing::diagonal ? 1 : 0)) * channels(group);
      case Parametrisation::direct:
        if (!is_state_space()) return lags(group) * channels(group);
        return state_space_size * width_ + (group.name.starts_with('A') ? width_ : 0);  // A has a step size as well
      case Parametrisation::liquid:
        return 2 * state_space_size * width_ + width_;  // and how far the input bends each decay
      case Parametrisation::selective:
        return width_ + width_ * state_size();  // bias of Δ, A_log
      case Parametrisation::decay:
        return channels(group);  // bias
      case Parametrisation::implicit:
        // Three sine layers over nine features of the position, and the one that makes the channels of K.
        return 9 * filter_width + filter_width + 2 * (filter_width * filter_width + filter_width) + filter_width * channels(group);
    }
    return 0;
  }

  std::int64_t projection_flops(GroupMask computes) const {
    std::int64_t flops = 2 * output_matrix();
    for (const auto* group : selected(computes)) flops += 2 * matrices(*group);
    return flops;
  }

  /// Elements of the matrices of a projection.
  static std::int64_t projection(const FeatureGroup& group, std::int64_t inputs, std::int64_t outputs) {
    switch (group.channel_mixing) {
      case ChannelMixing::diagonal:
        return 0;
      case ChannelMixing::dense:
        break;
      case ChannelMixing::grouped:
        return inputs / heads_at(inputs) * outputs;
      case ChannelMixing::monarch:
        return monarch_sizes(inputs, outputs).elements();
    }
    return inputs * outputs;
  }

  /// W_o: from the channels that token mixing leaves back to the width.
  std::int64_t output_matrix() const {
    const auto inputs = mixed_channels();
    return class_.op.channel_mixing == ChannelMixing::monarch ? monarch_sizes(inputs, width_).elements() : inputs * width_;
  }

  std::int64_t mixing_flops(std::int64_t length) const {
    switch (class_.family) {
      case Family::attention:
        if (is_linear()) return maps() * (4 * width_ * head_width() + 3 * width_);
        // q kᵀ and T v: 2 d per pair each; the maps of a differential softmax share the channels of q kᵀ.
        return per_token((class_.op.nonlinearity == Nonlinearity::softmax ? 1 + maps() : 2 * maps()) * width_ * 2, length);
      case Family::recurrence:
        if (is_state_space()) return maps() * ((is_liquid() ? 15 : 11) * width_ * state_space_size / 2 + 2 * width_);
        return maps() * (scan_flops * width_ * state_size() + (is_selective() ? 2 * width_ : 0));
      case Family::gated_convolution:
        return maps() * (is_implicit() ? per_token(width_ * 2, length) : 2 * lags(named("K")) * width_);
      case Family::memoryless:
        return 0;
    }
    return 0;
  }

  const LivClass& class_;
  const std::vector<FeatureGroup>& groups_;
  std::int64_t width_;
  std::int64_t length_;
  std::int64_t band_;
};

bool is_composed(const LivPlan& part) { return part.path_size > 1 || part.routed; }

/// What path and route add to LIV i.
void add_composition(const LivPlan& part, std::size_t i, std::int64_t width, LivAccount& liv) {
  const bool parallel = part.path_size > 1;
  if (parallel) liv.parameters.vectors += 1;                                              // w
  if (parallel && part.path_routed && part.path_first == i) liv.parameters.vectors += 1;  // s
  if (!part.routed) return;
  liv.parameters.matrices += width;                  // the projection of its gate
  liv.parameters.vectors += 3 + (parallel ? 0 : 2);  // bias, τ, Δ; alone β and ω
  liv.cache.fixed += 1;                              // g
  liv.forward_flops += 2 * width;
  liv.product_flops += 2 * width;
}

}  // namespace

Account account(const Catalogue& catalogue, const Genome& genome, const Dimensions& dimensions) {
  heads_at(dimensions.width);
  Account account;
  account.livs.reserve(genome.depth());
  const bool series = dimensions.channels > 0;
  account.parameters.embedding =
      series ? 2 * (dimensions.width + 1) * dimensions.channels + dimensions.width : dimensions.vocabulary * dimensions.width;
  account.parameters.vectors = dimensions.width;
  std::int64_t forward = 2 * dimensions.width * (series ? 2 * dimensions.channels : dimensions.vocabulary);
  if (dimensions.reconstructs) {
    account.parameters.matrices = 2 * dimensions.width * dimensions.width;
    forward += 2 * account.parameters.matrices;
  }
  std::int64_t products = forward;
  const auto plan = make_plan(catalogue, genome);
  std::vector<bool> is_read(plan.livs.size());
  for (const auto& part : plan.livs) {
    if (part.reads != 0) is_read[part.feature_owner] = true;
  }
  for (const auto& part : plan.livs) {
    require_fit(*part.liv_class, *part.featurizer, dimensions.width);
    const ClassAccount numbers(*part.liv_class, *part.featurizer, dimensions);
    const auto bank = numbers.bank(part.bank);
    LivAccount liv;
    liv.parameters = numbers.own();
    liv.parameters.matrices += bank.matrices;
    liv.parameters.vectors += bank.vectors;
    liv.cache = numbers.cache(part.computes);
    liv.forward_flops = numbers.forward_flops(part.computes, dimensions.length);
    liv.activations = numbers.activations(part.computes);
    liv.product_flops = numbers.product_flops(part.computes, dimensions.length);
    add_composition(part, account.livs.size(), dimensions.width, liv);
    if (is_composed(part)) liv.activations.working += numbers.mixed_channels();  // before the weight or gate that it is multiplied by
    liv.path_first = part.path_first;
    if (is_read[account.livs.size()]) liv.left_per_token = numbers.feature_channels();

    account.parameters.matrices += liv.parameters.matrices;
    account.parameters.vectors += liv.parameters.vectors;
    account.cache.dynamic_per_token += liv.cache.dynamic_per_token;
    account.cache.windowed_per_token += liv.cache.windowed_per_token;
    account.cache.window = std::max(account.cache.window, liv.cache.window);
    account.cache.banded_per_token += liv.cache.banded_per_token;
    account.cache.band = std::max(account.cache.band, liv.cache.band);
    account.cache.fixed += liv.cache.fixed;
    forward += liv.forward_flops;
    products += liv.product_flops;
    account.livs.push_back(liv);
  }
  account.training_flops = 3 * forward;
  account.training_product_flops = 3 * products;
  account.vocabulary = series ? 0 : dimensions.vocabulary;
  return account;
}

std::int64_t Account::gradient_bytes() const { return 4 * (parameters.total() + (vocabulary > 0 ? 2 * parameters.embedding : 0)); }

std::int64_t Account::logit_bytes(std::int64_t tokens, std::int64_t element_bytes, bool on_device) const {
  if (vocabulary == 0) return 0;
  const std::int64_t logits = logit_chunk_rows(tokens, vocabulary, on_device) * vocabulary;
  return logits * element_bytes + (on_device || element_bytes == 4 ? 0 : 4 * (logits + parameters.embedding));
}

ActivationBytes Account::activation_bytes(std::int64_t width, std::int64_t element_bytes, bool recomputed) const {
  // Behind the last LIV: the stream, its norm, and their gradients.
  ActivationBytes bytes{.per_token = (2 * 4 + 2 * element_bytes) * width};
  std::int64_t largest = 0, group = 0, largest_group = 0;
  for (std::size_t i = 0; i < livs.size(); ++i) {
    const auto& liv = livs[i];
    const auto own = liv.activations.bytes_per_token(element_bytes);
    largest = std::max(largest, own);
    group = liv.path_first == i ? own : group + own;
    largest_group = std::max(largest_group, group);
    bytes.per_token += 4 * width + (recomputed ? element_bytes * liv.left_per_token : own);
    bytes.fixed += 4 * liv.activations.shared;
  }
  bytes.per_token += 2 * largest + (recomputed ? largest_group : 0);
  return bytes;
}

}  // namespace starling::genome
