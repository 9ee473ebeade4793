// T = T₁ − λ T₂ over any operator that is linear in v: the base applied twice to the same v, with two sets of the groups
// that modulate T and a state for each. What else the base has (the gate z and the skip D of S6) is the same in both. λ
// is one number per LIV, a function of learned vectors.
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
  Differential(std::unique_ptr<Operator> base, std::vector<int> second_of, std::int64_t position)
      : base_(std::move(base)), second_of_(std::move(second_of)), initial_lambda_(initial_lambda(position)) {
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

  std::vector<StateSpec> state(GroupMask computes) const override {
    auto specs = base_->state(first_map(computes));
    for (auto& spec : base_->state(second_map(computes))) {
      spec.name += second_map_suffix;
      specs.push_back(std::move(spec));
    }
    return specs;
  }

  at::Tensor forward(const Call& call) const override {
    const auto split = [](const Tensors& tensors, std::size_t at) {
      const auto middle = tensors.begin() + static_cast<std::ptrdiff_t>(at);
      return std::pair(Tensors(tensors.begin(), middle), Tensors(middle, tensors.end()));
    };
    auto bank = split(call.bank, base_->bank().size()).first;
    const auto own = split(call.own, base_->own().size()).first;
    auto features = split(call.features, second_of_.size()).first;
    std::pair<State, State> states;
    if (call.state) {
      auto tensors = split(call.state->tensors, base_->state(first_map(call.computes)).size());
      states.first.position = states.second.position = call.state->position;
      states.first.tensors = std::move(tensors.first);
      states.second.tensors = std::move(tensors.second);
    }
    const auto apply = [&](GroupMask computes, State& state) {
      return base_->forward(
          {.x = call.x, .bank = bank, .own = own, .computes = computes, .features = features, .state = call.state ? &state : nullptr});
    };

    const auto first = apply(first_map(call.computes), states.first);
    for (std::size_t group = 0; group < features.size(); ++group) {
      call.features[group] = features[group];
      if (second_of_[group] >= 0) features[group] = call.features[static_cast<std::size_t>(second_of_[group])];
    }
    for (const auto& [slot, second_slot] : second_slots_) bank[slot] = call.bank[second_slot];
    const auto second = apply(second_map(call.computes), states.second);
    for (std::size_t group = 0; group < features.size(); ++group) {
      if (second_of_[group] >= 0) call.features[static_cast<std::size_t>(second_of_[group])] = features[group];
    }
    return difference(first, second, lambda_of(call.own.back(), initial_lambda_));
  }

 private:
  /// What the base computes for T₁.
  GroupMask first_map(GroupMask computes) const { return computes & ((GroupMask{1} << second_of_.size()) - 1); }
  /// What it computes for T₂: v and what belongs to no map come from the first.
  GroupMask second_map(GroupMask computes) const {
    GroupMask mask = 0;
    for (std::size_t group = 0; group < second_of_.size(); ++group) {
      if (second_of_[group] >= 0 && contains(computes, static_cast<std::size_t>(second_of_[group]))) mask |= GroupMask{1} << group;
    }
    return mask;
  }

  std::unique_ptr<Operator> base_;
  std::vector<int> second_of_;                                     ///< by group of the base: its group of T₂, −1 for none
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
  auto of_one_map = compile(base);
  if (of_one_map->exports() != 0) return nullptr;
  return std::make_unique<Differential>(std::move(of_one_map), std::move(second_of), config.position);
}

}  // namespace starling::operators
