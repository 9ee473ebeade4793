#include <starling/genome/validity.hpp>

#include <algorithm>

#include <starling/base/error.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/segments.hpp>

namespace starling::genome {
namespace {

/// The genes of one kind of sharing, and what the plan says of its owners.
struct Kind {
  std::int16_t Liv::*group;
  std::int16_t Liv::*strategy;
  std::size_t LivPlan::*owner;
};

constexpr Kind featurizers{&Liv::featurizer_group, &Liv::featurizer_strategy, &LivPlan::weight_owner};
constexpr Kind features{&Liv::feature_group, &Liv::feature_strategy, &LivPlan::feature_owner};

std::string liv_name(std::size_t i) { return "LIV " + std::to_string(i + 1) + ": "; }

std::string out_of_range(std::size_t i, const char* gene, int found, int lowest, int highest) {
  return liv_name(i) + gene + ' ' + std::to_string(found) + " is not in " + std::to_string(lowest) + " … " + std::to_string(highest);
}

/// Strategy of a reader: the first that reads its groups.
std::int16_t strategy_reading(const Catalogue& catalogue, const LivPlan& reader) {
  const auto sharing = [&](int strategy) {
    return reader.derived ? reader.derived->sharing.groups[static_cast<std::size_t>(strategy)]
                          : catalogue.shared_groups(reader.liv_class->id, strategy);
  };
  const int count = feature_strategies(reader.liv_class->family);
  int strategy = 2;
  while (strategy < count && sharing(strategy) != reader.reads) ++strategy;
  return static_cast<std::int16_t>(strategy);
}

/// Writes the strategies of one kind: 1 but for readers and those who are read.
void write_strategies(const Catalogue& catalogue, const Plan& plan, Kind kind, Genome& genome) {
  for (std::size_t i = 0; i < plan.livs.size(); ++i) {
    const std::size_t owner = plan.livs[i].*kind.owner;
    if (owner == i) continue;
    auto& reader = genome.livs[i];
    const bool reads = kind.strategy == features.strategy;
    reader.*kind.strategy = reads ? strategy_reading(catalogue, plan.livs[i]) : std::int16_t{2};
    genome.livs[owner].*kind.strategy = 2;
  }
}

/// Numbers the groups of one kind by first use in their class.
void number_groups(const Plan& plan, Kind kind, Genome& genome) {
  for (std::size_t i = 0; i < plan.livs.size(); ++i) {
    auto& liv = genome.livs[i];
    if (liv.*kind.strategy < 2) continue;
    const std::size_t owner = plan.livs[i].*kind.owner;
    if (owner != i) {
      liv.*kind.group = genome.livs[owner].*kind.group;
      continue;
    }
    for (std::size_t j = 0; j < i; ++j) {
      const auto& other = genome.livs[j];
      const bool owns = other.*kind.strategy >= 2 && plan.livs[j].*kind.owner == j;
      if (owns && other.liv_class == liv.liv_class && other.segments == liv.segments) ++(liv.*kind.group);
    }
  }
}

void number_paths(const Plan& plan, Genome& genome) {
  std::int16_t groups = 0;
  for (std::size_t i = 0; i < plan.livs.size(); ++i) {
    const auto& part = plan.livs[i];
    if (part.path_size < 2) continue;
    if (part.path_first == i) ++groups;
    genome.livs[i].path = groups;
  }
}

}  // namespace

std::vector<std::string> findings(const Catalogue& catalogue, const Genome& genome) {
  if (genome.livs.empty()) return {"the genome is empty: it needs at least one LIV"};
  std::vector<std::string> classes, integers, strategies;
  const int limit = group_limit(genome.depth());
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    const bool known = is_empty(liv) || catalogue.contains(liv.liv_class);
    if (!known) {
      classes.push_back(liv_name(i) + "class " + std::to_string(liv.liv_class) + " is not in the catalogue '" + catalogue.name() + "' (" +
                        list_of_classes(catalogue) + ")");
    }
    const auto check = [&](const char* gene, int found, int highest, int lowest = 1) {
      if (found < lowest || found > highest) integers.push_back(out_of_range(i, gene, found, lowest, highest));
    };
    check("featurizer-sharing group", liv.featurizer_group, limit);
    check("featurizer-sharing strategy", liv.featurizer_strategy, featurizer_strategies);
    check("feature-group-sharing group", liv.feature_group, limit);
    check("feature-group-sharing strategy", liv.feature_strategy, max_feature_strategies);
    check("path", liv.path, limit, 0);
    check("route", liv.route, 1, 0);
    if (!known || liv.feature_strategy > max_feature_strategies) continue;
    if (!is_empty(liv) && has_segments(liv)) {
      const auto& liv_class = catalogue.at(liv.liv_class);
      const auto reason = objection(catalogue, liv_class.differential, all_integers(catalogue, liv));
      if (!reason.empty()) {
        integers.push_back(liv_name(i) + "its segments make no operator of " + liv_class.name + ": " + reason);
        continue;
      }
    }
    const int count = feature_strategies(catalogue, liv);
    if (liv.feature_strategy > count) {
      strategies.push_back(out_of_range(i, "feature-group-sharing strategy", liv.feature_strategy, 1, count) + ", all that " +
                           (is_empty(liv) ? "an empty LIV" : catalogue.at(liv.liv_class).name) + " has");
    }
  }
  if (std::all_of(genome.livs.begin(), genome.livs.end(), is_empty))
    classes.emplace_back("all LIVs are empty (class 0): at least one must not be");
  classes.insert(classes.end(), integers.begin(), integers.end());
  classes.insert(classes.end(), strategies.begin(), strategies.end());
  return classes;
}

void require_valid(const Catalogue& catalogue, const Genome& genome) {
  const auto found = findings(catalogue, genome);
  if (!found.empty()) throw UserError("illegal genome: " + found.front());
}

bool mixes_and_maps(const Catalogue& catalogue, const Genome& genome) {
  const auto has = [&](bool map) {
    return std::any_of(genome.livs.begin(), genome.livs.end(),
                       [&](const Liv& liv) { return !is_empty(liv) && (family_of(catalogue, liv) == Family::memoryless) == map; });
  };
  return has(true) && has(false);
}

int feature_strategies(const Catalogue& catalogue, const Liv& liv) {
  return is_empty(liv) ? 1 : feature_strategies(family_of(catalogue, liv));
}

// The canonical genome is written from the plan alone, so that equal plans cannot have different ones.
Genome canonical(const Catalogue& catalogue, const Genome& with_empty) {
  const auto genome = without_empty(with_empty);
  const auto plan = make_plan(catalogue, genome);
  Genome result;
  result.livs.resize(genome.depth());
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto normal = with_normal_class(catalogue, genome.livs[i]);
    result.livs[i].liv_class = normal.liv_class;
    result.livs[i].segments = normal.segments;
  }
  for (const auto kind : {featurizers, features}) {
    write_strategies(catalogue, plan, kind, result);
    number_groups(plan, kind, result);
  }
  number_paths(plan, result);
  for (std::size_t i = 0; i < genome.depth(); ++i) result.livs[i].route = plan.livs[i].routed ? 1 : 0;
  result.livs.resize(with_empty.depth(), Liv{.liv_class = empty_class});
  return result;
}

std::uint64_t phenotype_hash(const Catalogue& catalogue, const Genome& genome) {
  const auto form = without_empty(canonical(catalogue, genome));
  const auto per_liv = genes_needed(form);
  auto genes = to_genes(form, per_liv);
  if (per_liv != genes_per_liv) genes.insert(genes.begin(), static_cast<std::int16_t>(per_liv));
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const auto gene : genes) {
    const auto bits = static_cast<std::uint16_t>(gene);
    for (const unsigned byte : {bits & 0xffu, bits >> 8 & 0xffu}) hash = (hash ^ byte) * 0x100000001b3ull;
  }
  return hash;
}

}  // namespace starling::genome
