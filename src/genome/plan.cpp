#include <starling/genome/plan.hpp>

#include <cassert>
#include <tuple>

#include <starling/genome/segments.hpp>

namespace starling::genome {
namespace {

/// The first LIV in depth order of the group that LIV `i` is a member of; itself where it is none. Classes are in normal form.
std::size_t owner_of(const Genome& genome, std::size_t i, Gene group, Gene strategy) {
  const auto& liv = genome.livs[i];
  if (liv.*strategy < 2) return i;
  for (std::size_t j = 0; j < i; ++j) {
    const auto& other = genome.livs[j];
    const bool same_class = other.liv_class == liv.liv_class && other.segments == liv.segments;
    if (same_class && other.*strategy >= 2 && other.*group == liv.*group) return j;
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
void settle_learned_groups(Plan& plan) {
  for (auto& part : plan.livs) {
    if (part.reads == 0 || plan.livs[part.feature_owner].weight_owner != part.weight_owner) continue;
    part.reads &= ~learned_groups(*part.featurizer);
    if (part.reads == 0) part.feature_owner = static_cast<std::size_t>(&part - plan.livs.data());
  }
  for (auto& part : plan.livs) {
    if (part.reads == 0 || (part.reads & ~learned_groups(*part.featurizer)) != 0) continue;
    const auto weights = plan.livs[part.feature_owner].weight_owner;
    part.feature_owner = 0;
    while (plan.livs[part.feature_owner].weight_owner != weights || plan.livs[part.feature_owner].reads != 0) ++part.feature_owner;
  }
}

}  // namespace

bool LivPlan::operator==(const LivPlan& other) const {
  const auto numbers = [](const LivPlan& part) {
    return std::tie(part.weight_owner, part.feature_owner, part.reads, part.computes, part.bank, part.path_first, part.path_size,
                    part.routed, part.path_routed);
  };
  const bool same_class = liv_class == other.liv_class || (liv_class != nullptr && other.liv_class != nullptr &&
                                                           *liv_class == *other.liv_class && *featurizer == *other.featurizer);
  return same_class && numbers(*this) == numbers(other);
}

Plan make_plan(const Catalogue& catalogue, const Genome& with_empty) {
  auto genome = without_empty(with_empty);
  for (auto& liv : genome.livs) liv = with_normal_class(catalogue, liv);
  Plan plan;
  plan.livs.resize(genome.depth());
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    auto& part = plan.livs[i];
    part.routed = liv.route != 0;
    GroupMask reads = 0;
    if (has_segments(liv)) {
      part.derived = std::make_shared<const ClassDefinition>(definition(catalogue, liv));
      part.liv_class = &part.derived->liv_class;
      part.featurizer = &part.derived->featurizer;
      reads = part.derived->sharing.groups[static_cast<std::size_t>(liv.feature_strategy)];
    } else {
      part.liv_class = &catalogue.at(liv.liv_class);
      part.featurizer = &catalogue.featurizer_of(*part.liv_class);
      reads = catalogue.shared_groups(liv.liv_class, liv.feature_strategy);
    }
    part.weight_owner = owner_of(genome, i, &Liv::featurizer_group, &Liv::featurizer_strategy);
    part.feature_owner = owner_of(genome, i, &Liv::feature_group, &Liv::feature_strategy);
    if (part.feature_owner != i) part.reads = reads;
  }
  settle_learned_groups(plan);
  for (auto& part : plan.livs) {
    const auto groups = part.featurizer->groups.size();
    assert(groups < 32);
    part.computes = ((GroupMask{1} << groups) - 1) & ~part.reads;
    plan.livs[part.weight_owner].bank |= part.computes;
  }
  group_paths(genome, plan);
  return plan;
}

}  // namespace starling::genome
