#include <starling/genome/plan.hpp>

#include <cassert>

namespace starling::genome {
namespace {

/// The first LIV in depth order of the group that LIV `i` is a member of; itself where it is none.
std::size_t owner_of(const Genome& genome, std::size_t i, Gene group, Gene strategy) {
  const auto& liv = genome.livs[i];
  if (liv.*strategy < 2) return i;
  for (std::size_t j = 0; j < i; ++j) {
    const auto& other = genome.livs[j];
    if (other.liv_class == liv.liv_class && other.*strategy >= 2 && other.*group == liv.*group) return j;
  }
  return i;
}

void group_paths(const Genome& genome, Plan& plan) {
  const auto& livs = genome.livs;
  for (std::size_t first = 0, end = 0; first < livs.size(); first = end) {
    end = first + 1;
    while (livs[first].path != 0 && end < livs.size() && livs[end].path == livs[first].path) ++end;
    bool routed = false;
    for (std::size_t i = first; i < end; ++i) routed = routed || livs[i].route != 0;
    for (std::size_t i = first; i < end; ++i) {
      plan.livs[i].path_routed = routed;
      plan.livs[i].path_first = first;
      plan.livs[i].path_size = end - first;
    }
  }
}

/// The groups whose values are weights, the same whatever the input.
GroupMask learned_groups(const Featurizer& featurizer) {
  GroupMask mask = 0;
  for (std::size_t i = 0; i < featurizer.groups.size(); ++i) {
    if (featurizer.groups[i].parametrisation == Parametrisation::direct) mask |= GroupMask{1} << i;
  }
  return mask;
}

/// One form for all ways of reading the same weights.
void settle_learned_groups(const Catalogue& catalogue, Plan& plan) {
  for (auto& part : plan.livs) {
    if (part.reads == 0 || plan.livs[part.feature_owner].weight_owner != part.weight_owner) continue;
    part.reads &= ~learned_groups(catalogue.featurizer_of(*part.liv_class));
    if (part.reads == 0) part.feature_owner = static_cast<std::size_t>(&part - plan.livs.data());
  }
  for (auto& part : plan.livs) {
    if (part.reads == 0 || (part.reads & ~learned_groups(catalogue.featurizer_of(*part.liv_class))) != 0) continue;
    const auto weights = plan.livs[part.feature_owner].weight_owner;
    part.feature_owner = 0;
    while (plan.livs[part.feature_owner].weight_owner != weights || plan.livs[part.feature_owner].reads != 0) ++part.feature_owner;
  }
}

}  // namespace

Plan make_plan(const Catalogue& catalogue, const Genome& with_empty) {
  const auto genome = without_empty(with_empty);
  Plan plan;
  plan.livs.resize(genome.depth());
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    auto& part = plan.livs[i];
    part.routed = liv.route != 0;
    part.liv_class = &catalogue.at(liv.liv_class);
    part.routed = liv.route != 0;
    part.weight_owner = owner_of(genome, i, &Liv::featurizer_group, &Liv::featurizer_strategy);
    part.feature_owner = owner_of(genome, i, &Liv::feature_group, &Liv::feature_strategy);
    if (part.feature_owner != i) part.reads = catalogue.shared_groups(liv.liv_class, liv.feature_strategy);
  }
  settle_learned_groups(catalogue, plan);
  for (auto& part : plan.livs) {
    const auto groups = catalogue.featurizer_of(*part.liv_class).groups.size();
    assert(groups < 32);
    part.computes = ((GroupMask{1} << groups) - 1) & ~part.reads;
    plan.livs[part.weight_owner].bank |= part.computes;
  }
  group_paths(genome, plan);
  return plan;
}

}  // namespace starling::genome
