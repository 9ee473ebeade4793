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

}  // namespace

Plan make_plan(const Catalogue& catalogue, const Genome& with_empty) {
  const auto genome = without_empty(with_empty);
  Plan plan;
  plan.livs.resize(genome.depth());
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    auto& part = plan.livs[i];
    part.liv_class = &catalogue.at(liv.liv_class);
    part.weight_owner = owner_of(genome, i, &Liv::featurizer_group, &Liv::featurizer_strategy);
    part.feature_owner = owner_of(genome, i, &Liv::feature_group, &Liv::feature_strategy);
    if (part.feature_owner != i) part.reads = catalogue.shared_groups(liv.liv_class, liv.feature_strategy);
    const auto groups = catalogue.featurizer_of(*part.liv_class).groups.size();
    assert(groups < 32);
    part.computes = ((GroupMask{1} << groups) - 1) & ~part.reads;
    plan.livs[part.weight_owner].bank |= part.computes;
    part.routed = liv.route != 0;
  }
  group_paths(genome, plan);
  return plan;
}

}  // namespace starling::genome
