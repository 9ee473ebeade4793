#include <starling/genome/variation.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

#include <starling/base/error.hpp>
#include <starling/genome/legality.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/segment_variation.hpp>
#include <starling/genome/segments.hpp>
#include <starling/genome/validity.hpp>

namespace starling::genome {
namespace {

/// Uniform in 1 … highest.
std::int16_t draw_integer(int highest, Stream& stream) {
  return static_cast<std::int16_t>(1 + stream.below(static_cast<std::uint64_t>(highest)));
}

bool in_range(int value, int highest) { return value >= 1 && value <= highest; }

/// Uniform in 1 … highest without `current`; `current` where there is no other.
std::int16_t draw_other_integer(int highest, std::int16_t current, Stream& stream) {
  if (!in_range(current, highest)) return draw_integer(highest, stream);  // a strategy that the LIV's new class lacks
  if (highest < 2) return current;
  const auto drawn = draw_integer(highest - 1, stream);
  return drawn >= current ? static_cast<std::int16_t>(drawn + 1) : drawn;
}

/// The classes a LIV may have, in the order of the catalogue, then the empty one.
std::vector<std::int16_t> legal_classes(const Space& space) {
  std::vector<std::int16_t> classes;
  for (const auto& liv_class : space.catalogue->classes()) classes.push_back(static_cast<std::int16_t>(liv_class.id));
  if (space.variable_depth) classes.push_back(empty_class);
  return classes;
}

std::int16_t draw_class(const std::vector<std::int16_t>& classes, Stream& stream) { return classes[stream.below(classes.size())]; }

std::int16_t draw_other_class(std::vector<std::int16_t> classes, std::int16_t current, Stream& stream) {
  std::erase(classes, current);
  return classes.empty() ? current : draw_class(classes, stream);
}

/// The next LIV that is not empty, forwards (step 1) or backwards (−1); −1 where there is none.
std::ptrdiff_t neighbour(const Genome& genome, std::size_t liv, std::ptrdiff_t step) {
  auto i = static_cast<std::ptrdiff_t>(liv) + step;
  while (i >= 0 && i < std::ssize(genome.livs) && is_empty(genome.livs[static_cast<std::size_t>(i)])) i += step;
  return i < std::ssize(genome.livs) ? i : -1;
}

/// The values of a LIV's path that differ in what they mean.
std::vector<std::int16_t> meaningful_paths(const Genome& genome, std::size_t liv) {
  const auto limit = group_limit(genome.depth());
  std::vector<std::int16_t> paths{0};
  const auto add = [&](std::int16_t path) {
    const bool is_new = path > 0 && path <= limit && std::find(paths.begin(), paths.end(), path) == paths.end();
    if (is_new) paths.push_back(path);
    return is_new;
  };
  for (const auto step : {-1, 1}) {
    if (const auto beside = neighbour(genome, liv, step); beside >= 0) add(genome.livs[static_cast<std::size_t>(beside)].path);
  }
  for (std::int16_t fresh = 1; fresh <= limit && !add(fresh);) ++fresh;
  return paths;
}

std::int16_t draw_path(const Genome& genome, std::size_t liv, Stream& stream) {
  const auto paths = meaningful_paths(genome, liv);
  return paths[stream.below(paths.size())];
}

/// Another meaning for a LIV's path: alone, with the LIV before, with the one behind. Where that one is alone too, both begin a group:
/// else no single mutation could.
void mutate_path(Genome& genome, std::size_t liv, Stream& stream) {
  struct Choice {
    std::int16_t path;
    std::ptrdiff_t partner = -1;  ///< LIV that takes the path as well
  };
  const auto path_of = [&](std::ptrdiff_t i) { return i < 0 ? std::int16_t{0} : genome.livs[static_cast<std::size_t>(i)].path; };
  auto& own = genome.livs[liv].path;
  std::vector<Choice> choices;
  if (own != 0) choices.push_back({0});
  for (const std::ptrdiff_t step : {-1, 1}) {
    const auto beside = neighbour(genome, liv, step);
    if (beside < 0) continue;
    if (path_of(beside) != 0) {
      if (path_of(beside) != own) choices.push_back({path_of(beside)});
      continue;
    }
    const auto before = path_of(neighbour(genome, liv, -step));
    const auto behind = path_of(neighbour(genome, static_cast<std::size_t>(beside), step));
    for (std::int16_t fresh = 1; fresh <= group_limit(genome.depth()); ++fresh) {
      if (fresh == before || fresh == behind) continue;
      choices.push_back({fresh, beside});
      break;
    }
  }
  if (choices.empty()) return;
  const auto& choice = choices[stream.below(choices.size())];
  own = choice.path;
  if (choice.partner >= 0) genome.livs[static_cast<std::size_t>(choice.partner)].path = choice.path;
}

void repair_classes(const Space& space, Genome& genome, Stream& stream, Repairs& repairs) {
  for (auto& liv : genome.livs) {
    if (space.catalogue->contains(liv.liv_class) || (space.variable_depth && is_empty(liv))) continue;
    liv.liv_class = draw_class(legal_classes(space), stream);
    liv.segments = {};
    ++repairs.class_out_of_range;
  }
}

std::int16_t draw_route(Stream& stream) { return static_cast<std::int16_t>(stream.below(2)); }

void repair_paths_and_routes(const Space& space, Genome& genome, Stream& stream, Repairs& repairs) {
  const int highest_path = space.paths ? group_limit(genome.depth()) : 0;
  const int highest_route = space.routes ? 1 : 0;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    auto& liv = genome.livs[i];
    if (liv.path < 0 || liv.path > highest_path) {
      liv.path = space.paths ? draw_path(genome, i, stream) : std::int16_t{0};
      ++repairs.illegal_integer;
    }
    if (liv.route < 0 || liv.route > highest_route) {
      liv.route = space.routes ? draw_route(stream) : std::int16_t{0};
      ++repairs.illegal_integer;
    }
  }
}

void repair_integers(const Space& space, Genome& genome, Stream& stream, Repairs& repairs) {
  const auto& catalogue = *space.catalogue;
  const int limit = group_limit(genome.depth());
  const auto mend = [&](std::int16_t& gene, int legal, int drawn_from) {
    if (in_range(gene, legal)) return;
    gene = draw_integer(drawn_from, stream);
    ++repairs.illegal_integer;
  };
  for (auto& liv : genome.livs) {
    mend(liv.featurizer_group, limit, limit);
    mend(liv.featurizer_strategy, featurizer_strategies, featurizer_strategies);
    mend(liv.feature_group, limit, limit);
    mend(liv.feature_strategy, max_feature_strategies, feature_strategies(catalogue, liv));
  }
  repair_paths_and_routes(space, genome, stream, repairs);
}

void repair_strategies(const Catalogue& catalogue, Genome& genome, Stream& stream, Repairs& repairs) {
  for (auto& liv : genome.livs) {
    const int count = feature_strategies(catalogue, liv);
    if (liv.feature_strategy <= count) continue;
    liv.feature_strategy = draw_integer(count, stream);
    ++repairs.illegal_strategy;
  }
}

/// A group's only member leaves it. That makes no other group lonely, so one pass is enough. Classes by their first LIV.
void repair_lonely(const std::vector<std::size_t>& classes, Genome& genome, std::int16_t Liv::*group, std::int16_t Liv::*strategy,
                   Repairs& repairs) {
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    auto& liv = genome.livs[i];
    if (liv.*strategy < 2) continue;
    int members = 0;
    for (std::size_t j = 0; j < genome.depth(); ++j) {
      const auto& other = genome.livs[j];
      members += classes[j] == classes[i] && other.*strategy >= 2 && other.*group == liv.*group;
    }
    if (members > 1) continue;
    liv.*strategy = 1;
    ++repairs.lonely_group;
  }
}

/// A LIV alone on its path leaves it, which parts no others.
void repair_lonely_paths(Genome& genome, Repairs& repairs) {
  auto& livs = genome.livs;
  for (std::size_t i = 0; i < livs.size(); ++i) {
    if (livs[i].path == 0 || is_empty(livs[i])) continue;
    const auto joins = [&](std::ptrdiff_t step) {
      const auto beside = neighbour(genome, i, step);
      return beside >= 0 && livs[static_cast<std::size_t>(beside)].path == livs[i].path;
    };
    if (joins(-1) || joins(1)) continue;
    livs[i].path = 0;
    ++repairs.lonely_path;
  }
}

void repair_sharing(const Catalogue& catalogue, Genome& genome, Stream& stream, Repairs& repairs) {
  repair_strategies(catalogue, genome, stream, repairs);
  const auto classes = first_of_class(catalogue, genome);
  repair_lonely(classes, genome, &Liv::featurizer_group, &Liv::featurizer_strategy, repairs);
  repair_lonely(classes, genome, &Liv::feature_group, &Liv::feature_strategy, repairs);
}

bool is_map(const LivClass& liv_class) { return liv_class.family == Family::memoryless; }

/// Gives one LIV a class of the kind that is missing: an empty one, or one of several of the other kind.
void repair_composition(const Catalogue& catalogue, Genome& genome, Stream& stream, Repairs& repairs) {
  std::vector<std::size_t> empty, maps, mixers;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    (is_empty(liv) ? empty : family_of(catalogue, liv) == Family::memoryless ? maps : mixers).push_back(i);
  }
  const bool wants_map = maps.empty();
  auto replaceable = wants_map ? mixers : maps;
  if (replaceable.size() < 2) replaceable.clear();
  replaceable.insert(replaceable.end(), empty.begin(), empty.end());
  std::sort(replaceable.begin(), replaceable.end());
  std::vector<std::int16_t> missing;
  for (const auto& liv_class : catalogue.classes()) {
    if (is_map(liv_class) == wants_map) missing.push_back(static_cast<std::int16_t>(liv_class.id));
  }
  auto& liv = genome.livs[replaceable[stream.below(replaceable.size())]];
  liv.liv_class = missing[stream.below(missing.size())];
  liv.segments = {};
  ++repairs.composition;
}

/// Where nothing but empty LIVs is left, one of them becomes another.
void repair_emptiness(const Catalogue& catalogue, Genome& genome, Stream& stream, Repairs& repairs) {
  if (!std::all_of(genome.livs.begin(), genome.livs.end(), is_empty)) return;
  const auto& classes = catalogue.classes();
  auto& liv = genome.livs[stream.below(genome.depth())];
  liv.liv_class = static_cast<std::int16_t>(classes[stream.below(classes.size())].id);
  liv.segments = {};
  ++repairs.composition;
}

}  // namespace

void require_searchable(const Space& space) {
  if (space.depth < 1) throw UserError("a genome needs a depth of at least 1");
  if (space.operators || space.featurizers) {
    for (const auto& liv_class : space.catalogue->classes()) require_fit(liv_class, space.catalogue->featurizer_of(liv_class), space.width);
  }
  if (!space.require_mixer_and_map) return;
  if (space.depth < 2) {
    throw UserError(
        "a genome of depth 1 cannot hold both a token mixer and a position-wise LIV: more depth, or a search without "
        "that constraint");
  }
  const auto& classes = space.catalogue->classes();
  const auto maps = std::count_if(classes.begin(), classes.end(), is_map);
  if (maps == 0 || maps == static_cast<std::ptrdiff_t>(classes.size())) {
    throw UserError("the catalogue '" + space.catalogue->name() + "' has no " + (maps == 0 ? "position-wise class" : "token mixer") +
                    ", but every genome of the search must have one (" + list_of_classes(*space.catalogue) + ")");
  }
}

std::vector<std::size_t> searched_genes(const Space& space) {
  std::vector<std::size_t> genes;
  const auto add = [&](std::size_t begin, std::size_t end) {
    for (auto i = begin; i < end; ++i) genes.push_back(i);
  };
  constexpr auto path = genes_per_liv, route = path + 1, segments = liv_genes.size(), groups = segments + operator_genes;
  add(0, genes_per_liv);
  if (space.paths) add(path, path + 1);
  if (space.routes) add(route, route + 1);
  if (space.operators) add(segments, groups);
  if (space.featurizers) add(groups, all_genes_per_liv);
  return genes;
}

namespace {

/// Segments in full: what the LIVs have, whatever class says it. Groups that do not vary stay those of the featurizer class.
Genome in_full(const Space& space, Genome genome) {
  for (auto& liv : genome.livs) {
    if (is_empty(liv)) continue;
    liv.segments = all_integers(*space.catalogue, liv);
    if (!space.featurizers) std::fill(liv.segments.begin() + operator_genes, liv.segments.end(), std::int16_t{0});
  }
  return genome;
}

/// The first LIV that each shares something with, in one step or several; itself where it shares nothing. An empty LIV is its own.
std::vector<std::size_t> first_sharing(const Catalogue& catalogue, Genome genome) {
  // Crossover may leave segments of which no class can be made; such a LIV is taken for its class.
  for (auto& liv : genome.livs) {
    if (!has_segments(liv) || is_empty(liv)) continue;
    if (!objection(catalogue, catalogue.at(liv.liv_class).differential, all_integers(catalogue, liv)).empty()) liv.segments = {};
  }
  const auto plan = make_plan(catalogue, genome);
  std::vector<std::size_t> first(genome.depth()), of_part;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    first[i] = i;
    if (!is_empty(genome.livs[i])) of_part.push_back(i);
  }
  const auto root = [&](std::size_t i) {
    while (first[i] != i) i = first[i];
    return i;
  };
  for (std::size_t i = 0; i < plan.livs.size(); ++i) {
    for (const auto owner : {plan.livs[i].weight_owner, plan.livs[i].feature_owner}) {
      const auto a = root(of_part[owner]), b = root(of_part[i]);
      first[std::max(a, b)] = std::min(a, b);
    }
  }
  for (auto& liv : first) liv = root(liv);
  return first;
}

/// The LIVs that are not empty, but for one.
std::vector<std::size_t> others(const Genome& genome, std::size_t liv) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    if (i != liv && !is_empty(genome.livs[i])) found.push_back(i);
  }
  return found;
}

void mutate_segments(const Space& space, const Genome& parent, Genome& mutant, double probability, Stream& stream) {
  const SegmentVariation variation(space);
  const auto first_alike = first_of_class(*space.catalogue, parent);
  const auto first_sharer = first_sharing(*space.catalogue, parent);
  const auto keeps_class = [&](std::size_t i) { return !is_empty(mutant.livs[i]) && mutant.livs[i].liv_class == parent.livs[i].liv_class; };
  constexpr std::size_t none = SIZE_MAX;
  std::vector<std::size_t> leader_of_class(parent.depth(), none), leader_of_sharers(parent.depth(), none);
  std::vector<bool> together(parent.depth());
  for (std::size_t i = 0; i < parent.depth(); ++i) {
    if (first_alike[i] == i) together[i] = stream.chance(0.5);
    if (!keeps_class(i)) continue;
    auto& leader = together[first_alike[i]] ? leader_of_class[first_alike[i]] : leader_of_sharers[first_sharer[i]];
    auto& liv = mutant.livs[i];
    if (leader == none) {
      leader = i;
      variation.mutate(liv, probability, stream);
    } else {
      liv.liv_class = mutant.livs[leader].liv_class;
      liv.segments = mutant.livs[leader].segments;
    }
  }
  for (std::size_t i = 0; i < parent.depth(); ++i) {
    auto& liv = mutant.livs[i];
    if (is_empty(liv) || keeps_class(i)) continue;
    const auto models = others(mutant, i);
    if (models.empty() || stream.chance(0.5)) {
      variation.mutate(liv, probability, stream);
      continue;
    }
    const auto& model = mutant.livs[models[stream.below(models.size())]];
    liv.liv_class = model.liv_class;
    liv.segments = model.segments;
  }
}

/// A LIV that begins to share takes another of its class that shares nothing into its group, with probability begun_group: else no single
/// mutation could begin one.
void find_partner(const Genome& parent, Genome& mutant, std::size_t liv, std::int16_t Liv::*group, std::int16_t Liv::*strategy,
                  Stream& stream) {
  const auto& own = mutant.livs[liv];
  if (is_empty(own) || own.*strategy < 2 || parent.livs[liv].*strategy >= 2) return;
  std::vector<Liv*> free;
  for (std::size_t i = 0; i < mutant.depth(); ++i) {
    auto& other = mutant.livs[i];
    if (i == liv || other.liv_class != own.liv_class || other.segments != own.segments) continue;
    if (other.*strategy < 2) {
      if (parent.livs[i].*strategy < 2) free.push_back(&other);
    } else if (other.*group == own.*group) {
      return;
    }
  }
  if (free.empty() || !stream.chance(begun_group)) return;
  auto& partner = *free[stream.below(free.size())];
  partner.*group = own.*group;
  partner.*strategy = own.*strategy;
}

/// One draw per class of the catalogue.
void sample_segments(const Space& space, Genome& genome, Stream& stream) {
  const SegmentVariation variation(space);
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    auto& liv = genome.livs[i];
    if (is_empty(liv)) continue;
    const auto* const same = std::find_if(genome.livs.data(), &liv, [&](const Liv& other) { return other.liv_class == liv.liv_class; });
    if (same != &liv) {
      liv.segments = same->segments;
    } else {
      variation.mutate(liv, sampled_change, stream);
    }
  }
}

}  // namespace

Genome sample(const Space& space, Stream& stream, Repairs* repairs) {
  const int limit = group_limit(space.depth);
  const auto classes = legal_classes(space);
  Genome genome;
  genome.livs.resize(space.depth);
  for (std::size_t i = 0; i < space.depth; ++i) {
    auto& liv = genome.livs[i];
    liv.liv_class = draw_class(classes, stream);
    liv.featurizer_group = draw_integer(limit, stream);
    liv.featurizer_strategy = draw_integer(featurizer_strategies, stream);
    liv.feature_group = draw_integer(limit, stream);
    liv.feature_strategy = draw_integer(feature_strategies(*space.catalogue, liv), stream);
    if (space.paths) liv.path = draw_path(genome, i, stream);
    if (space.routes) liv.route = draw_route(stream);
  }
  if (space.operators || space.featurizers) sample_segments(space, genome, stream);
  return repair(space, std::move(genome), stream, repairs);
}

Genome crossover(const Space& space, const Genome& first, const Genome& second, int points, Stream& stream) {
  assert(first.depth() == second.depth());
  const bool segments = space.operators || space.featurizers;
  const auto a = segments ? in_full(space, first) : first;
  const auto b = segments ? in_full(space, second) : second;
  const auto genes = searched_genes(space);
  const auto count = genes.size() * a.depth();
  assert(points >= 0 && static_cast<std::size_t>(points) < count);
  Genome child = a;
  // Selection sampling (Knuth, algorithm S) of `points` of the positions between genes: one pass, the cuts come in
  // order.
  auto wanted = static_cast<std::uint64_t>(points);
  bool from_b = false;
  for (std::size_t i = 1; i < count; ++i) {
    if (wanted > 0 && stream.below(count - i) < wanted) {
      from_b = !from_b;
      --wanted;
    }
    const auto number = genes[i % genes.size()];
    auto& liv = child.livs[i / genes.size()];
    const auto& other = b.livs[i / genes.size()];
    if (from_b) gene(liv, number) = gene(other, number);
    if (from_b && number == 0 && !space.operators) std::copy_n(other.segments.begin(), operator_genes, liv.segments.begin());
  }
  for (auto& liv : child.livs) {
    if (!segments) break;
    const auto all = liv.segments;
    liv.segments = {};
    if (!is_empty(liv)) set_integers(*space.catalogue, liv, all);
  }
  return child;
}

Genome mutate(const Space& space, const Genome& genome, double probability, Stream& stream, int* changed) {
  const auto& catalogue = *space.catalogue;
  const int limit = group_limit(genome.depth());
  const auto classes = legal_classes(space);
  Genome mutant = genome;
  const auto change = [&](std::int16_t& gene, int highest) {
    if (stream.chance(probability)) gene = draw_other_integer(highest, gene, stream);
  };
  for (std::size_t i = 0; i < mutant.depth(); ++i) {
    auto& liv = mutant.livs[i];
    if (stream.chance(probability)) {
      liv.liv_class = draw_other_class(classes, liv.liv_class, stream);
      if (liv.liv_class != genome.livs[i].liv_class) liv.segments = {};
    }
    change(liv.featurizer_group, limit);
    change(liv.featurizer_strategy, featurizer_strategies);
    change(liv.feature_group, limit);
    change(liv.feature_strategy, feature_strategies(catalogue, liv));
    if (space.paths && stream.chance(probability) && !is_empty(liv)) mutate_path(mutant, i, stream);
    if (space.routes && stream.chance(probability)) liv.route = liv.route == 0 ? 1 : 0;
  }
  if (space.operators || space.featurizers) mutate_segments(space, genome, mutant, probability, stream);
  for (std::size_t i = 0; i < mutant.depth(); ++i) {
    find_partner(genome, mutant, i, &Liv::featurizer_group, &Liv::featurizer_strategy, stream);
    find_partner(genome, mutant, i, &Liv::feature_group, &Liv::feature_strategy, stream);
  }
  if (changed != nullptr) *changed = distance(genome, mutant);
  return mutant;
}

Genome repair(const Space& space, Genome genome, Stream& stream, Repairs* repairs) {
  assert(genome.depth() > 0);
  Repairs ignored;
  auto& counts = repairs != nullptr ? *repairs : ignored;
  const auto& catalogue = *space.catalogue;
  repair_classes(space, genome, stream, counts);
  const SegmentVariation segments(space);
  for (auto& liv : genome.livs) segments.repair(liv, stream, counts);
  repair_integers(space, genome, stream, counts);
  repair_sharing(catalogue, genome, stream, counts);
  const auto composed = counts.composition;
  if (!space.require_mixer_and_map) repair_emptiness(catalogue, genome, stream, counts);
  while (space.require_mixer_and_map && !mixes_and_maps(catalogue, genome)) repair_composition(catalogue, genome, stream, counts);
  // A LIV that changed left the groups of its old class and may have a strategy its new one lacks.
  if (counts.composition != composed) repair_sharing(catalogue, genome, stream, counts);
  repair_lonely_paths(genome, counts);
  return genome;
}

int distance(const Genome& a, const Genome& b) {
  assert(a.depth() == b.depth());
  int differing = 0;
  for (std::size_t i = 0; i < a.depth(); ++i) {
    for (std::size_t number = 0; number < all_genes_per_liv; ++number) differing += gene(a.livs[i], number) != gene(b.livs[i], number);
  }
  return differing;
}

}  // namespace starling::genome
