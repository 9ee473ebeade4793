// T = T₁ − λ T₂ over any operator that is linear in v: the base applied twice to the same v, with two sets of the groups
// that modulate T and a state for each. What else the base has (the gate z and the skip D of S6) is the same in both, and
// whatever the base does to its map (the normaliser of linear attention) it does to each. λ is one number per LIV, a function
// of learned vectors. Exports: the base's for T₁, then those for T₂.
#include <starling/operators/compile.hpp>
#include <starling/operators/functions/differential.hpp>
#include <starling/operators/livs/livs.hpp>
#include <starling/operators/livs/projections.hpp>

#include <algorithm>
#include <utility>

namespace starling::operators {
namespace {

class Differential final : public Operator {
 public:
  Differential(std::unique_ptr<Operator> base, std::vector<int> second_of, const Config& config)
      : base_(std::move(base)),
        second_of_(std::move(second_of)),
        groups_(config.groups.size()),
        initial_lambda_(initial_lambda(config.position)) {
    bank_ = base_->bank();
    for (std::size_t slot = 0; slot < base_->bank().size(); ++slot) {
      auto spec = base_->bank()[slot];
      const auto group = static_cast<std::size_t>(spec.group);
      if (second_of_[group] < 0) continue;
      // "A.down" of the first map is "A2.down" of the second.
      const auto end = std::min(spec.name.find('.'), spec.name.size());
      spec.name = spec.name.substr(0, end) + second_map_suffix + spec.name.substr(end);
      spec.group = second_of_[group];
      second_slots_.emplace_back(slot, bank_.size());
      bank_.push_back(std::move(spec));
    }
    own_ = base_->own();
    own_.push_back(lambda_vectors());
  }

  std::size_t exports() const override { return 2 * base_->exports(); }

  std::vector<StateSpec> state(GroupMask computes) const override {
    auto specs = base_->state(first_map(computes));
    for (auto& spec : base_->state_given(second_map(computes), in_no_map(computes))) {
      spec.name += second_map_suffix;
      specs.push_back(std::move(spec));
    }
    return specs;
  }

  at::Tensor output(const at::Tensor& residual, const at::Tensor& mixed, const Tensors& own) const override {
    return base_->output(residual, mixed, own);
  }

  at::Tensor forward(const Call& call) const override {
    const auto split = [](const Tensors& tensors, std::size_t at) {
      const auto middle = tensors.begin() + static_cast<std::ptrdiff_t>(at);
      return std::pair(Tensors(tensors.begin(), middle), Tensors(middle, tensors.end()));
    };
    auto bank = split(call.bank, base_->bank().size()).first;
    const auto own = split(call.own, base_->own().size()).first;
    const auto groups = second_of_.size();
    auto features = split(call.features, groups).first;
    std::pair<State, State> states;
    if (call.state) {
      auto tensors = split(call.state->tensors, base_->state(first_map(call.computes)).size());
      auto derived = split(call.state->derived, call.state->derived.size() / 2);
      states.first = {call.state->position, std::move(tensors.first), std::move(derived.first)};
      states.second = {call.state->position, std::move(tensors.second), std::move(derived.second)};
      features.resize(groups + base_->exports());
    }
    // Exports stand behind the groups, and exist only in generation.
    const auto apply = [&](GroupMask computes, GroupMask given, std::size_t exports, State& state) {
      for (std::size_t i = groups; i < features.size(); ++i) features[i] = call.features[exports + i - groups];
      auto mixed = base_->forward({.x = call.x,
                                   .bank = bank,
                                   .own = own,
                                   .computes = computes,
                                   .given = given,
                                   .features = features,
                                   .state = call.state ? &state : nullptr});
      for (std::size_t i = groups; i < features.size(); ++i) call.features[exports + i - groups] = features[i];
      return mixed;
    };

    const auto first = apply(first_map(call.computes), 0, groups_, states.first);
    for (std::size_t group = 0; group < groups; ++group) {
      call.features[group] = features[group];
      if (second_of_[group] >= 0) features[group] = call.features[static_cast<std::size_t>(second_of_[group])];
    }
    for (const auto& [slot, second_slot] : second_slots_) bank[slot] = call.bank[second_slot];
    const auto second = apply(second_map(call.computes), in_no_map(call.computes), groups_ + base_->exports(), states.second);
    for (std::size_t group = 0; group < groups; ++group) {
      if (second_of_[group] >= 0) call.features[static_cast<std::size_t>(second_of_[group])] = features[group];
    }
    if (call.state) {
      auto& derived = call.state->derived = std::move(states.first.derived);
      derived.insert(derived.end(), states.second.derived.begin(), states.second.derived.end());
    }
    return difference(first, second, lambda_of(call.own.back(), initial_lambda_));
  }

 private:
  /// What the base computes for T₁.
  GroupMask first_map(GroupMask computes) const { return computes & ((GroupMask{1} << second_of_.size()) - 1); }
  /// What is computed here and belongs to no map (v, z): it is computed for T₁, and T₂ is given it.
  GroupMask in_no_map(GroupMask computes) const {
    GroupMask mask = 0;
    for (std::size_t group = 0; group < second_of_.size(); ++group) {
      if (second_of_[group] < 0 && contains(computes, group)) mask |= GroupMask{1} << group;
    }
    return mask;
  }
  /// What the base computes for T₂.
  GroupMask second_map(GroupMask computes) const {
    GroupMask mask = 0;
    for (std::size_t group = 0; group < second_of_.size(); ++group) {
      if (second_of_[group] >= 0 && contains(computes, static_cast<std::size_t>(second_of_[group]))) mask |= GroupMask{1} << group;
    }
    return mask;
  }

  std::unique_ptr<Operator> base_;
  std::vector<int> second_of_;                                     ///< by group of the base: its group of T₂, −1 for none
  std::size_t groups_;                                             ///< of T₁ and T₂ together; exports follow them
  std::vector<std::pair<std::size_t, std::size_t>> second_slots_;  ///< slots of the base's bank, and of what replaces them for T₂
  double initial_lambda_;
};

}  // namespace

std::unique_ptr<Operator> differential(const Config& config) {
  if (!config.differential || config.nonlinearity == Nonlinearity::softmax || config.token_mixing == TokenMixing::diagonal) return nullptr;
  auto base = config;
  base.differential = false;
  // The groups of T₂ follow those of the base.
  const auto is_second = [](const GroupConfig& group) { return group.name.ends_with(second_map_suffix); };
  base.groups.erase(std::find_if(base.groups.begin(), base.groups.end(), is_second), base.groups.end());
  std::vector<int> second_of;
  auto groups = base.groups.size();
  for (const auto& group : base.groups) {
    auto expected = group;
    expected.name += second_map_suffix;
    const int second = config.group(expected.name);
    const bool modulates = group.name != "v" && group.name != "z";
    if (modulates != (second >= 0)) return nullptr;
    if (modulates && config.groups[static_cast<std::size_t>(second)] != expected) return nullptr;
    if (modulates) ++groups;
    second_of.push_back(second);
  }
  if (groups != config.groups.size()) return nullptr;
  return std::make_unique<Differential>(compile(base), std::move(second_of), config);
}

}  // namespace starling::operators
