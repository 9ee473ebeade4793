#include <starling/genome/validity.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/genome/plan.hpp>

namespace starling::genome {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Catalogue& liquid = Catalogue::liquid();

#ifdef NDEBUG
constexpr int rounds = 200'000;
#else
constexpr int rounds = 20'000;
#endif

std::string canonical_text(std::string_view text) { return to_text(canonical(liquid, parse_genome(text))); }

TEST(Findings, NameWhatIsWrongInTheOrderOfRepair) {
  EXPECT_THAT(findings(liquid, parse_genome("11211-81112-11214")), IsEmpty());
  const auto found = findings(liquid, parse_genome("81113-77.1.1.1.1-14311-99.1.0.1.5-11111"));
  EXPECT_THAT(found, ElementsAre(HasSubstr("LIV 2: class 77 is not in the catalogue 'liquid' (1 SA-1"), HasSubstr("LIV 4: class 99 is not"),
                                 HasSubstr("LIV 3: featurizer-sharing group 4 is not in 1 … 2"),
                                 HasSubstr("LIV 3: featurizer-sharing strategy 3 is not in 1 … 2"),
                                 HasSubstr("LIV 4: featurizer-sharing strategy 0 is not in 1 … 2"),
                                 HasSubstr("LIV 4: feature-group-sharing strategy 5 is not in 1 … 4"),
                                 HasSubstr("LIV 1: feature-group-sharing strategy 3 is not in 1 … 2, all that GMemless has")));
  EXPECT_THAT(findings(liquid, {}), ElementsAre(HasSubstr("empty")));
}

TEST(Findings, OfPathsAndRoutes) {
  EXPECT_THAT(findings(liquid, parse_genome("1111120-8111121-1111101-81111-8111130-8111130")), IsEmpty());
  EXPECT_THAT(findings(liquid, parse_genome("1111130-81111-1111102")),
              ElementsAre(HasSubstr("LIV 1: path 3 is not in 0 … 2"), HasSubstr("LIV 3: route 2 is not in 0 … 1")));
}

TEST(Findings, OfEmptyLivs) {
  EXPECT_THAT(findings(liquid, parse_genome("01111-11111-0221111")), IsEmpty());
  EXPECT_THAT(findings(liquid, parse_genome("01111-02111-01112")),
              ElementsAre(HasSubstr("all LIVs are empty"), HasSubstr("strategy 2 is not in 1 … 1, all that an empty LIV has")));
}

TEST(Findings, AcceptAGroupOfOne) { EXPECT_THAT(findings(liquid, parse_genome("11212-81111")), IsEmpty()); }

TEST(RequireValid, ThrowsTheFirstFinding) {
  EXPECT_NO_THROW(require_valid(liquid, parse_genome("11111")));
  try {
    require_valid(liquid, parse_genome("11111-13111-99.1.1.1.1"));
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("LIV 3: class 99"));
  }
}

TEST(MixesAndMaps, NeedsBothKinds) {
  EXPECT_TRUE(mixes_and_maps(liquid, parse_genome("11111-81111")));
  EXPECT_FALSE(mixes_and_maps(liquid, parse_genome("11111-41111")));
  EXPECT_FALSE(mixes_and_maps(liquid, parse_genome("81111-81111")));
  EXPECT_FALSE(mixes_and_maps(liquid, parse_genome("81111-01111")));
  EXPECT_TRUE(mixes_and_maps(liquid, parse_genome("01111-81111-01111-41111")));
}

TEST(Canonical, MendsWhatThePhenotypeDoesNotShow) {
  EXPECT_EQ(canonical_text("13121-82121"), "11111-81111") << "inactive ids";
  EXPECT_EQ(canonical_text("11212-81111"), "11111-81111") << "groups of one";
  EXPECT_EQ(canonical_text("12211-81111-12211"), "11211-81111-11211") << "ids by first use";
  EXPECT_EQ(canonical_text("12211-11211-12211-11211"), "11211-12211-11211-12211");
  EXPECT_EQ(canonical_text("12211-42211-12211-42211"), "11211-41211-11211-41211") << "numbers are per class";
  EXPECT_EQ(canonical_text("12221-12221-11124-11114"), "11211-11211-11111-11111") << "a kind of sharing does not wake up the other";
}

TEST(Canonical, TheOwnersOwnStrategyIsTwo) {
  EXPECT_EQ(canonical_text("11114-11113"), "11112-11113");
  EXPECT_EQ(canonical_text("11113-11113"), "11112-11113");
  EXPECT_NE(canonical_text("11112-11113"), canonical_text("11112-11114")) << "readers differ";
  EXPECT_NE(canonical_text("11112-11113"), canonical_text("11112-11112"));
}

TEST(Canonical, NumbersPathGroupsInDepthOrder) {
  EXPECT_EQ(canonical_text("1111120-81111"), "11111-81111") << "a path group of one";
  EXPECT_EQ(canonical_text("1111120-8111120"), "1111110-8111110");
  EXPECT_EQ(canonical_text("1111110-8111110-81111-8111110-8111110"), "1111110-8111110-81111-8111120-8111120");
  EXPECT_EQ(canonical_text("1111120-8111120-8111110-8111110-11111"), "1111110-8111110-8111120-8111120-11111");
  EXPECT_EQ(canonical_text("1111121-8111111"), "1111101-8111101") << "routes stay";
}

TEST(Canonical, HasEmptyLivsLast) {
  EXPECT_EQ(canonical_text("02211-11112-01111-81111-0111121-11112"), "11112-81111-11112-01111-01111-01111");
  EXPECT_EQ(canonical_text("1111110-01111-8111110"), "1111110-8111110-01111");
}

/// What a genome means, from the definition and without the plan: for every LIV and feature group the LIV whose
/// activations are used and the first LIV that computes this group with the same weights. Where the group is weights itself, to
/// read it is to have them.
std::string phenotype(const Catalogue& catalogue, const Genome& genome) {
  std::vector<Liv> livs;
  for (const auto& liv : genome.livs) {
    if (liv.liv_class != 0) livs.push_back(liv);
  }
  const auto feature_owner = [&](std::size_t i) {
    std::size_t j = 0;
    while (livs[j].liv_class != livs[i].liv_class || livs[j].feature_strategy < 2 || livs[j].feature_group != livs[i].feature_group) ++j;
    return j;
  };
  const auto reads = [&](std::size_t i, std::size_t group) {
    if (livs[i].feature_strategy < 2 || feature_owner(i) == i) return false;
    return (catalogue.shared_groups(livs[i].liv_class, livs[i].feature_strategy) >> group & 1u) != 0;
  };
  const auto same_weights = [&](std::size_t i, std::size_t j) {
    return i == j || (livs[i].liv_class == livs[j].liv_class && livs[i].featurizer_strategy >= 2 && livs[j].featurizer_strategy >= 2 &&
                      livs[i].featurizer_group == livs[j].featurizer_group);
  };
  std::string text;
  for (std::size_t i = 0; i < livs.size(); ++i) {
    const auto& liv_class = catalogue.at(livs[i].liv_class);
    text += liv_class.name;
    for (std::size_t group = 0; group < catalogue.featurizer_of(liv_class).groups.size(); ++group) {
      const bool is_weights = catalogue.featurizer_of(liv_class).groups[group].parametrisation == Parametrisation::direct;
      if (reads(i, group) && !is_weights) {
        text += " a" + std::to_string(feature_owner(i));
        continue;
      }
      const auto from = reads(i, group) ? feature_owner(i) : i;
      std::size_t j = 0;
      while (!same_weights(from, j) || reads(j, group)) ++j;
      text += " w" + std::to_string(j);
    }
    const bool joins_next = i + 1 < livs.size() && livs[i].path != 0 && livs[i].path == livs[i + 1].path;
    if (livs[i].route != 0) text += " routed";
    text += joins_next ? " |" : "\n";
  }
  return text;
}

/// Every valid genome of a depth over some classes of the default catalogue, with paths and routes up to these.
void for_every_genome(std::size_t depth, const std::vector<std::int16_t>& classes, std::int16_t paths, std::int16_t routes,
                      const std::function<void(const Genome&)>& visit) {
  std::vector<Liv> livs;
  const auto limit = group_limit(depth);
  for (const auto liv_class : classes) {
    for (std::int16_t a = 1; a <= limit; ++a) {
      for (std::int16_t b = 1; b <= 2; ++b) {
        for (std::int16_t c = 1; c <= limit; ++c) {
          for (std::int16_t e = 1; e <= (liv_class == 0 ? 1 : liquid.feature_strategies(liv_class)); ++e) {
            for (std::int16_t path = 0; path <= paths; ++path) {
              for (std::int16_t route = 0; route <= routes; ++route) livs.push_back({liv_class, a, b, c, e, path, route});
            }
          }
        }
      }
    }
  }
  std::vector<std::size_t> digits(depth);
  Genome genome{std::vector<Liv>(depth, livs.front())};
  for (std::size_t position = 0; position < depth;) {
    if (findings(liquid, genome).empty()) visit(genome);
    for (position = 0; position < depth; ++position) {
      digits[position] = (digits[position] + 1) % livs.size();
      genome.livs[position] = livs[digits[position]];
      if (digits[position] != 0) break;
    }
  }
}

struct Enumerated {
  std::size_t depth;
  std::vector<std::int16_t> classes;
  std::size_t genomes;
  std::int16_t paths = 0;
  std::int16_t routes = 0;
};

class WholeSpace : public testing::TestWithParam<Enumerated> {};

TEST_P(WholeSpace, CanonicalFormsAndPhenotypesAreOneToOne) {
  std::map<std::string, Genome> by_phenotype;
  std::map<Genome, std::string> by_form;
  std::set<std::uint64_t> hashes;
  std::size_t genomes = 0;
  for_every_genome(GetParam().depth, GetParam().classes, GetParam().paths, GetParam().routes, [&](const Genome& genome) {
    ++genomes;
    const auto form = canonical(liquid, genome);
    const auto meaning = phenotype(liquid, genome);
    ASSERT_EQ(by_phenotype.try_emplace(meaning, form).first->second, form) << to_text(genome);
    ASSERT_EQ(by_form.try_emplace(form, meaning).first->second, meaning) << to_text(genome);
    hashes.insert(phenotype_hash(liquid, genome));
  });
  EXPECT_EQ(genomes, GetParam().genomes);
  EXPECT_EQ(hashes.size(), by_form.size());
  EXPECT_LT(by_form.size(), genomes);
}

INSTANTIATE_TEST_SUITE_P(Small, WholeSpace,
                         testing::Values(Enumerated{1, {1, 3, 4, 6, 8}, 144}, Enumerated{2, {1, 3, 4, 6, 8}, 20736},
                                         Enumerated{3, {1, 8}, 110592}, Enumerated{3, {4}, 32768}, Enumerated{3, {11}, 32768},
                                         Enumerated{4, {8}, 65536}, Enumerated{2, {3, 8}, 82944, 2, 1}, Enumerated{3, {8}, 110592, 2, 0},
                                         Enumerated{3, {0, 8}, 13312, 0, 0}, Enumerated{2, {0, 3, 8}, 110592, 2, 1}),
                         [](const auto& space) {
                           auto name = "Depth" + std::to_string(space.param.depth) + "Of" + std::to_string(space.param.genomes) +
                                       (space.param.paths > 0 ? "WithPaths" : "") + "Over";
                           for (const auto id : space.param.classes) name += "_" + std::to_string(id);
                           return name;
                         });

TEST(Canonical, KeepsPlanAndValidityOfRandomGenomes) {
  Stream stream(5, Purpose::test);
  for (int i = 0; i < rounds; ++i) {
    // Not repaired: groups of one are part of what canonical form must handle.
    Genome genome;
    const std::size_t depth = 1 + stream.below(12);
    const auto limit = static_cast<std::uint64_t>(group_limit(depth));
    for (std::size_t liv = 0; liv < depth; ++liv) {
      const auto id = liquid.classes()[stream.below(stream.chance(0.5) ? liquid.classes().size() : 2)].id;
      const auto gene = [&](std::uint64_t highest) { return static_cast<std::int16_t>(1 + stream.below(highest)); };
      genome.livs.push_back({static_cast<std::int16_t>(id), gene(limit), gene(2), gene(limit),
                             gene(static_cast<std::uint64_t>(liquid.feature_strategies(id)))});
      if (i % 2 == 0) continue;
      genome.livs.back().path = static_cast<std::int16_t>(stream.below(limit + 1));
      genome.livs.back().route = static_cast<std::int16_t>(stream.below(2));
      if (liv > 0 && stream.chance(0.2)) genome.livs.back().liv_class = genome.livs.back().feature_strategy = 0;
      if (is_empty(genome.livs.back())) genome.livs.back().feature_strategy = 1;
    }
    const auto form = canonical(liquid, genome);
    ASSERT_TRUE(findings(liquid, form).empty()) << to_text(genome);
    ASSERT_EQ(canonical(liquid, form), form) << to_text(genome);
    ASSERT_EQ(make_plan(liquid, form), make_plan(liquid, genome)) << to_text(genome);
    ASSERT_EQ(phenotype(liquid, form), phenotype(liquid, genome)) << to_text(genome);
    ASSERT_EQ(phenotype_hash(liquid, form), phenotype_hash(liquid, genome)) << to_text(genome);
  }
}

TEST(PhenotypeHash, IsFnvOverTheGenesAndNeverChanges) {
  // The hash stands in run files: a change of these bits would make old runs unreadable.
  EXPECT_EQ(phenotype_hash(liquid, parse_genome("11111-81111")), phenotype_hash(liquid, parse_genome("12121-82121")));
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const unsigned byte : {1u, 0u, 1u, 0u, 1u, 0u, 1u, 0u, 1u, 0u}) hash = (hash ^ byte) * 0x100000001b3ull;
  EXPECT_EQ(phenotype_hash(liquid, parse_genome("11111")), hash);
  EXPECT_EQ(phenotype_hash(liquid, parse_genome("01111-11111-01111")), hash) << "whatever the number of empty LIVs";
  hash = 0xcbf29ce484222325ull;
  for (const unsigned byte : {7u, 0u, 1u, 0u, 1u, 0u, 1u, 0u, 1u, 0u, 1u, 0u, 0u, 0u, 1u, 0u}) hash = (hash ^ byte) * 0x100000001b3ull;
  EXPECT_EQ(phenotype_hash(liquid, parse_genome("1111101")), hash) << "with a route or a path, seven and the seven genes of every LIV";
}

}  // namespace
}  // namespace starling::genome
