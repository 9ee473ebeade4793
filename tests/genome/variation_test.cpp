#include <starling/genome/variation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <starling/base/error.hpp>
#include <starling/genome/validity.hpp>

namespace starling::genome {
namespace {

const Catalogue& liquid = Catalogue::liquid();

// Three genomes a round: a million where the sanitizers do not make it minutes.
#ifdef NDEBUG
constexpr int rounds = 350'000;
#else
constexpr int rounds = 35'000;
#endif

bool has_lonely_group(const Genome& genome) {
  using Key = std::tuple<int, int, int>;
  std::map<Key, int> members;
  for (const auto& liv : genome.livs) {
    if (liv.featurizer_strategy >= 2) ++members[{0, liv.liv_class, liv.featurizer_group}];
    if (liv.feature_strategy >= 2) ++members[{1, liv.liv_class, liv.feature_group}];
  }
  return std::any_of(members.begin(), members.end(), [](const auto& entry) { return entry.second == 1; });
}

bool has_lonely_path(const Genome& with_empty) {
  const auto livs = without_empty(with_empty).livs;
  for (std::size_t i = 0; i < livs.size(); ++i) {
    const bool joins = (i > 0 && livs[i - 1].path == livs[i].path) || (i + 1 < livs.size() && livs[i + 1].path == livs[i].path);
    if (livs[i].path != 0 && !joins) return true;
  }
  return false;
}

/// Valid, no group of one, nothing the space does not have, both kinds of LIV where they are asked for.
void expect_whole(const Space& space, const Genome& genome) {
  ASSERT_EQ(genome.depth(), space.depth);
  ASSERT_TRUE(findings(*space.catalogue, genome).empty()) << to_text(genome);
  ASSERT_FALSE(has_lonely_group(genome)) << to_text(genome);
  ASSERT_FALSE(has_lonely_path(genome)) << to_text(genome);
  for (const auto& liv : genome.livs) {
    ASSERT_TRUE(space.paths || liv.path == 0) << to_text(genome);
    ASSERT_TRUE(space.variable_depth || !is_empty(liv)) << to_text(genome);
    ASSERT_TRUE(space.routes || liv.route == 0) << to_text(genome);
  }
  ASSERT_TRUE(!space.require_mixer_and_map || mixes_and_maps(*space.catalogue, genome)) << to_text(genome);
}

Genome garbage(std::size_t depth, Stream& stream) {
  std::vector<std::int16_t> genes(liv_genes.size() * depth);
  const bool wild = stream.chance(0.1);
  for (auto& gene : genes) gene = static_cast<std::int16_t>(wild ? stream() : stream.below(12));
  return from_genes(genes, liv_genes.size());
}

TEST(Variation, WhateverIsSampledCrossedMutatedAndRepairedIsValid) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < rounds; ++i) {
    Space space;
    space.require_mixer_and_map = stream.chance(0.7);
    space.depth = (space.require_mixer_and_map ? 2 : 1) + stream.below(8);
    space.paths = stream.chance(0.5);
    space.routes = stream.chance(0.5);
    space.variable_depth = stream.chance(0.5);
    const auto a = sample(space, stream);
    expect_whole(space, a);
    const auto b = repair(space, garbage(space.depth, stream), stream);
    expect_whole(space, b);
    const auto points = static_cast<int>(stream.below(searched_genes(space).size() * space.depth));
    const auto child = repair(space, mutate(space, crossover(space, a, b, points, stream), stream.uniform(), stream), stream);
    expect_whole(space, child);
    if (HasFatalFailure()) return;
  }
}

TEST(Sample, DrawsClassesEvenly) {
  Stream stream(2, Purpose::test);
  Space space;
  space.require_mixer_and_map = false;
  std::map<int, int> counts;
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i) {
    for (const auto& liv : sample(space, stream).livs) ++counts[liv.liv_class];
  }
  ASSERT_EQ(counts.size(), liquid.classes().size());
  const double share = 1.0 / static_cast<double>(liquid.classes().size());
  for (const auto& [id, count] : counts) EXPECT_NEAR(count / (6.0 * draws), share, 0.006) << id;
}

TEST(Sample, OfASpaceWithPathsAndRoutesHasThem) {
  Stream stream(11, Purpose::test);
  Space space;
  space.depth = 24;
  space.paths = space.routes = true;
  std::map<std::size_t, int> sizes;
  int routed = 0;
  constexpr int draws = 2000;
  for (int i = 0; i < draws; ++i) {
    const auto genome = sample(space, stream);
    routed += static_cast<int>(std::count_if(genome.livs.begin(), genome.livs.end(), [](const Liv& liv) { return liv.route == 1; }));
    for (std::size_t first = 0, end = 0; first < space.depth; first = end) {
      for (end = first + 1; end < space.depth && genome.livs[first].path != 0 && genome.livs[end].path == genome.livs[first].path;) ++end;
      ++sizes[end - first];
    }
  }
  EXPECT_NEAR(routed / (24.0 * draws), 0.5, 0.01);
  // Groups of several sizes, however many ids there are.
  for (const std::size_t size : {2u, 3u, 4u}) EXPECT_GT(sizes[size], draws / 10) << size;
  space.paths = space.routes = false;
  Stream a(3, Purpose::sample), b(3, Purpose::sample);
  Space plain;
  plain.depth = 24;
  EXPECT_EQ(sample(space, a), sample(plain, b));
}

TEST(Sample, IsAFunctionOfTheStream) {
  const Space space;
  Stream a(3, Purpose::sample, 5), b(3, Purpose::sample, 5), c(3, Purpose::sample, 6);
  const auto genome = sample(space, a);
  EXPECT_EQ(genome, sample(space, b));
  EXPECT_NE(genome, sample(space, c));
}

TEST(Repair, LeavesValidGenomesAloneAndDrawsNothing) {
  Stream stream(4, Purpose::test);
  const Space space;
  for (int i = 0; i < 2000; ++i) {
    const auto genome = sample(space, stream);
    Repairs repairs;
    Stream used(9, Purpose::repair), fresh(9, Purpose::repair);
    EXPECT_EQ(repair(space, genome, used, &repairs), genome);
    EXPECT_EQ(repairs, Repairs{});
    EXPECT_EQ(used(), fresh());
  }
}

TEST(Repair, CountsEachReason) {
  Space space;
  space.depth = 4;
  const auto counts = [&](std::string_view text) {
    Stream stream(1, Purpose::repair);
    Repairs repairs;
    repair(space, parse_genome(text), stream, &repairs);
    return repairs;
  };
  EXPECT_EQ(counts("11111-81111-41111-61111"), (Repairs{0, 0, 0, 0, 0}));
  EXPECT_EQ(counts("99.1.1.1.1-81111-41111-77.1.1.1.1"), (Repairs{2, 0, 0, 0, 0}));
  EXPECT_EQ(counts("13111-81101-41111-61111"), (Repairs{0, 2, 0, 0, 0}));
  EXPECT_EQ(counts("11111-81111-41111-61211"), (Repairs{0, 0, 0, 1, 0}));
  EXPECT_EQ(counts("11112-81111-41211-61111"), (Repairs{0, 0, 0, 2, 0}));
  EXPECT_EQ(counts("11111-41111-41111-61111"), (Repairs{0, 0, 0, 0, 1}));
  EXPECT_EQ(counts("81111-81111-81111-81111"), (Repairs{0, 0, 0, 0, 1}));
  EXPECT_EQ(counts("81113-81114-41111-61111").illegal_strategy, 2u);
  EXPECT_EQ(counts("81113-81114-41111-61111").illegal_integer, 0u);
}

TEST(Repair, CountsPathsAndRoutes) {
  const auto counts = [&](std::string_view text, bool paths, bool routes) {
    Space space;
    space.depth = 4;
    space.paths = paths;
    space.routes = routes;
    Stream stream(1, Purpose::repair);
    Repairs repairs;
    expect_whole(space, repair(space, parse_genome(text), stream, &repairs));
    return repairs;
  };
  EXPECT_EQ(counts("1111110-8111111-8111101-61111", true, true), Repairs{});
  EXPECT_EQ(counts("1111110-8111110-8111120-61111", true, false), (Repairs{0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(counts("1111110-8111110-8111101-61111", false, false), (Repairs{0, 3, 0, 0, 0, 0}));
  EXPECT_EQ(counts("1111110-8111110-8111101-61111", true, false), (Repairs{0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(counts("1111110-8111110-8111103-6111190", true, true).illegal_integer, 2u);
}

TEST(Repair, OfCompositionNeverTakesTheLastOfAKind) {
  Space space;
  space.variable_depth = true;
  for (const auto* text : {"81111-01111-01111", "01111-11111-01111", "01111-01111", "81111-81111-01111"}) {
    const auto genome = parse_genome(text);
    space.depth = genome.depth();
    space.require_mixer_and_map = true;
    for (std::uint64_t i = 0; i < 200; ++i) {
      Stream stream(i, Purpose::repair);
      Repairs repairs;
      expect_whole(space, repair(space, genome, stream, &repairs));
      EXPECT_EQ(repairs.composition, text == std::string_view("01111-01111") ? 2u : 1u) << text;
    }
    space.require_mixer_and_map = false;
    Stream stream(1, Purpose::repair);
    expect_whole(space, repair(space, genome, stream));
  }
}

TEST(Sample, DrawsEmptyLivsLikeAnyClassWhereTheDepthVaries) {
  Stream stream(14, Purpose::test);
  Space space;
  space.depth = 10;
  space.variable_depth = true;
  int empty = 0;
  constexpr int draws = 5000;
  for (int i = 0; i < draws; ++i) empty += static_cast<int>(space.depth - without_empty(sample(space, stream)).depth());
  EXPECT_NEAR(empty / (10.0 * draws), 1.0 / static_cast<double>(liquid.classes().size() + 1), 0.005);
}

TEST(Repair, OfCompositionMendsTheSharingItBreaks) {
  // Two LIVs share in each way; whichever changes its class leaves a lonely partner or brings an illegal strategy.
  Space space;
  space.depth = 2;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Stream stream(i, Purpose::repair);
    expect_whole(space, repair(space, parse_genome("11214-11214"), stream));
    expect_whole(space, repair(space, parse_genome("81212-81212"), stream));
  }
}

TEST(Crossover, TakesEveryGeneFromAParentAndSwitchesAtEachPoint) {
  Stream stream(6, Purpose::test);
  const auto a = from_genes(std::vector<std::int16_t>(30, 1)), b = from_genes(std::vector<std::int16_t>(30, 2));
  for (int points = 0; points < 30; ++points) {
    for (int i = 0; i < 50; ++i) {
      const auto genes = to_genes(crossover({}, a, b, points, stream));
      EXPECT_EQ(genes[0], 1) << "the child begins with the first parent";
      int switches = 0;
      for (std::size_t g = 1; g < genes.size(); ++g) switches += genes[g] != genes[g - 1];
      EXPECT_EQ(switches, points);
    }
  }
}

TEST(Crossover, ChoosesCutPointsEvenly) {
  Stream stream(7, Purpose::test);
  const auto a = from_genes(std::vector<std::int16_t>(10, 1)), b = from_genes(std::vector<std::int16_t>(10, 2));
  std::map<std::set<std::size_t>, int> pairs;
  constexpr int draws = 36000;
  for (int i = 0; i < draws; ++i) {
    const auto genes = to_genes(crossover({}, a, b, 2, stream));
    std::set<std::size_t> cuts;
    for (std::size_t g = 1; g < genes.size(); ++g) {
      if (genes[g] != genes[g - 1]) cuts.insert(g);
    }
    ++pairs[cuts];
  }
  ASSERT_EQ(pairs.size(), 36u);  // 9 over 2
  double chi_squared = 0;
  for (const auto& [cuts, count] : pairs) chi_squared += std::pow(count - draws / 36.0, 2) / (draws / 36.0);
  EXPECT_LT(chi_squared, 66.6);  // 99.9 % point at 35 degrees of freedom
}

TEST(Crossover, CutsBetweenTheGenesOfTheSpaceOnly) {
  Stream stream(12, Purpose::test);
  const auto a = from_genes(std::vector<std::int16_t>(14, 0), 7), b = from_genes(std::vector<std::int16_t>(14, 1), 7);
  for (const bool paths : {false, true}) {
    for (const bool routes : {false, true}) {
      Space space;
      space.paths = paths;
      space.routes = routes;
      const auto genes = searched_genes(space).size();
      EXPECT_EQ(genes, 5u + paths + routes);
      const auto child = crossover(space, a, b, static_cast<int>(2 * genes) - 1, stream);
      // Every second gene that varies is of the second parent; the others are the first parent's.
      int taken = 0;
      for (const auto gene : to_genes(child, 7)) taken += gene;
      EXPECT_EQ(taken, static_cast<int>(genes));
      for (const auto& liv : child.livs) {
        EXPECT_TRUE(paths || liv.path == 0);
        EXPECT_TRUE(routes || liv.route == 0);
      }
    }
  }
}

TEST(Mutate, ChangesNothingAtZeroAndEveryGeneAtOne) {
  Stream stream(8, Purpose::test);
  const Space space;
  for (int i = 0; i < 2000; ++i) {
    const auto genome = sample(space, stream);
    int changed = -1;
    EXPECT_EQ(mutate(space, genome, 0, stream, &changed), genome);
    EXPECT_EQ(changed, 0);
    const auto mutant = mutate(space, genome, 1, stream, &changed);
    EXPECT_EQ(changed, distance(genome, mutant));
    const auto before = to_genes(genome), after = to_genes(mutant);
    for (std::size_t g = 0; g < before.size(); ++g) EXPECT_NE(before[g], after[g]);
  }
}

TEST(Mutate, OfPathsDrawsWhatTheyCanMean) {
  Stream stream(13, Purpose::test);
  Space space;
  space.paths = space.routes = true;
  const auto genome = parse_genome("1111110-8111110-11111-8111120-8111120-11111");
  std::array<std::map<int, int>, 6> paths;
  std::map<int, int> routes;
  constexpr int draws = 40000;
  for (int i = 0; i < draws; ++i) {
    const auto mutant = mutate(space, genome, 0.05, stream);
    for (std::size_t liv = 0; liv < 6; ++liv) ++paths[liv][mutant.livs[liv].path];
    ++routes[mutant.livs[3].route];
  }
  EXPECT_NEAR(routes[1] / double{draws}, 0.05, 0.005);
  // LIV 3 stands alone between two groups: it may join either, or the nearest of either may leave to begin a group with it.
  for (const auto& [path, expected] : {std::pair{1, 0.025}, {2, 0.025}, {3, 0.05}}) {
    EXPECT_NEAR(paths[2][path] / double{draws}, expected, 0.005) << path;
  }
  EXPECT_NEAR(paths[1][0] / double{draws}, 0.025, 0.005);
  EXPECT_NEAR(paths[5][2] / double{draws}, 0.05, 0.006);
}

TEST(Mutate, OfOnePathIsEnoughToBeginAGroup) {
  Stream stream(15, Purpose::test);
  Space space;
  space.paths = true;
  const auto genome = parse_genome("11111-01111-81111-11111-81111-11111");
  int parallel = 0, lonely = 0;
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i) {
    const auto mutant = mutate(space, genome, 0.002, stream);
    const bool any = std::any_of(mutant.livs.begin(), mutant.livs.end(), [](const Liv& liv) { return liv.path != 0; });
    parallel += any;
    lonely += has_lonely_path(mutant);
  }
  EXPECT_LE(lonely, 2) << "but where two LIVs of a group are drawn at once";
  EXPECT_NEAR(parallel / double{draws}, 5 * 0.002, 0.003);
}

TEST(Mutate, OfOneStrategyIsEnoughToBeginAGroup) {
  Stream stream(19, Purpose::test);
  const Space space;
  const auto genome = parse_genome("11111-81111-11111-81111-11111-81111");
  std::map<std::set<std::size_t>, int> groups;
  constexpr int draws = 40000;
  constexpr double probability = 0.016;
  for (int i = 0; i < draws; ++i) {
    const auto mutant = repair(space, mutate(space, genome, probability, stream), stream);
    std::set<std::size_t> members;
    for (std::size_t liv = 0; liv < 6; ++liv) {
      if (mutant.livs[liv].feature_strategy < 2) continue;
      members.insert(liv);
      EXPECT_LE(mutant.livs[liv].feature_strategy, feature_strategies(liquid, mutant.livs[liv]));
    }
    ++groups[members];
  }
  constexpr double begun = probability * begun_group;
  EXPECT_NEAR((draws - groups[{}]) / double{draws}, 6 * begun, 0.002);
  // Each of the six takes one of the two others of its class.
  for (const auto& pair : {std::set<std::size_t>{0, 2}, {0, 4}, {2, 4}, {1, 3}, {1, 5}, {3, 5}}) {
    EXPECT_NEAR(groups[pair] / double{draws}, begun, 0.0009);
  }
}

TEST(Mutate, KeepsSharingAboutAsFrequentAsItIsAmongSampledGenomes) {
  Stream stream(21, Purpose::test);
  Space space;
  space.depth = 24;
  std::vector<Genome> genomes;
  const auto sharing = [&] {
    int livs = 0;
    for (const auto& genome : genomes) {
      for (const auto& liv : genome.livs) livs += (liv.featurizer_strategy >= 2) + (liv.feature_strategy >= 2);
    }
    return livs / static_cast<double>(2 * genomes.size() * space.depth);
  };
  for (int i = 0; i < 500; ++i) genomes.push_back(canonical(liquid, sample(space, stream)));
  const double sampled = sharing();
  for (int generation = 0; generation < 40; ++generation) {
    for (auto& genome : genomes) genome = canonical(liquid, repair(space, mutate(space, genome, 0.1, stream), stream));
  }
  EXPECT_GT(sharing(), 0.75 * sampled);
  EXPECT_LT(sharing(), 2 * sampled);
}

TEST(Mutate, ThatBeginsToShareJoinsTheGroupThatIsThere) {
  Stream stream(20, Purpose::test);
  const Space space;
  const auto genome = parse_genome("11112-11111-11112-81111-11111-81111");
  for (int i = 0; i < 20000; ++i) {
    const auto mutant = mutate(space, genome, 0.01, stream);
    if (mutant.livs[1].feature_strategy < 2 || distance(genome, mutant) > 1) continue;
    EXPECT_EQ(mutant.livs[4].feature_strategy, 1) << to_text(mutant);
  }
}

TEST(Mutate, HitsEachGeneWithItsProbabilityAndEachOtherValueAlike) {
  Stream stream(9, Purpose::test);
  const Space space;
  const auto genome = parse_genome("11111-31111-41111-61111-81111-91111");
  constexpr int draws = 40000;
  std::vector<int> hits(30);
  std::map<int, int> classes;
  for (int i = 0; i < draws; ++i) {
    const auto mutant = mutate(space, genome, 0.1, stream);
    const auto before = to_genes(genome), after = to_genes(mutant);
    for (std::size_t g = 0; g < 30; ++g) hits[g] += before[g] != after[g];
    if (mutant.livs[2].liv_class != 4) ++classes[mutant.livs[2].liv_class];
  }
  for (const int count : hits) EXPECT_NEAR(count / double{draws}, 0.1, 0.007);
  const auto others = liquid.classes().size() - 1;
  ASSERT_EQ(classes.size(), others);
  for (const auto& [id, count] : classes) EXPECT_NEAR(count / (0.1 * draws), 1.0 / static_cast<double>(others), 0.03) << id;
}

TEST(Distance, CountsDifferingGenes) {
  EXPECT_EQ(distance(parse_genome("11111-81111"), parse_genome("11111-81111")), 0);
  EXPECT_EQ(distance(parse_genome("11112-81111"), parse_genome("31111-82111")), 3);
}

TEST(RequireSearchable, RefusesSpacesWithoutAnyLegalGenome) {
  Space space;
  EXPECT_NO_THROW(require_searchable(space));
  space.depth = 1;
  EXPECT_THROW(require_searchable(space), UserError);
  space.require_mixer_and_map = false;
  EXPECT_NO_THROW(require_searchable(space));
  space.depth = 0;
  EXPECT_THROW(require_searchable(space), UserError);
  const Catalogue mixers("mixers", {liquid.at("SA-1")}, {liquid.featurizer_of(liquid.at("SA-1"))});
  const Catalogue maps("maps", {liquid.at("GMemless")}, {liquid.featurizer_of(liquid.at("GMemless"))});
  for (const auto* catalogue : {&mixers, &maps}) {
    EXPECT_THROW(require_searchable({catalogue, 4, true}), UserError);
    EXPECT_NO_THROW(require_searchable({catalogue, 4, false}));
  }
}

TEST(Sample, OfOneClassStillWorks) {
  const Catalogue maps("maps", {liquid.at("GMemless")}, {liquid.featurizer_of(liquid.at("GMemless"))});
  const Space space{&maps, 5, false};
  Stream stream(10, Purpose::test);
  for (int i = 0; i < 1000; ++i) expect_whole(space, repair(space, mutate(space, sample(space, stream), 0.5, stream), stream));
}

}  // namespace
}  // namespace starling::genome
