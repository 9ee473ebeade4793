#include <starling/genome/segments.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/genome/legality.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/validity.hpp>
#include <starling/genome/variation.hpp>

namespace starling::genome {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Catalogue& liquid = Catalogue::liquid();

#ifdef NDEBUG
constexpr int rounds = 4000;
#else
constexpr int rounds = 400;
#endif

Space space_of(bool operators, bool featurizers, std::size_t depth = 6) {
  Space space;
  space.depth = depth;
  space.operators = operators;
  space.featurizers = featurizers;
  space.width = 64;
  return space;
}

Liv liv_of(std::string_view text) { return parse_genome(text).livs.at(0); }

/// A row of the catalogue with some integers of its own, as a catalogue that has it would define it.
std::vector<FeatureGroup> groups_of(std::string_view text) { return definition(liquid, liv_of(text)).featurizer.groups; }

/// The groups are those the class would have were it a row: what is legal, and fits.
void expect_operator(const Space& space, const Genome& genome) {
  for (const auto& liv : genome.livs) {
    if (is_empty(liv)) {
      ASSERT_FALSE(has_segments(liv)) << to_text(genome);
      continue;
    }
    const auto all = all_integers(liquid, liv);
    ASSERT_EQ(objection(liquid, liquid.at(liv.liv_class).differential, all), "") << to_text(genome);
    ASSERT_EQ(objection_at(liquid, all, space.width), "") << to_text(genome);
    if (space.operators && space.featurizers) continue;
    const auto& featurizer = *find_featurizer(liquid, all[position(OperatorGene::featurizer)]);
    const auto own = integers_of(liquid, featurizer);
    if (!space.featurizers) {
      ASSERT_TRUE(std::equal(all.begin() + operator_genes, all.end(), own.begin() + operator_genes)) << to_text(genome);
    }
    const auto& classes = liquid.classes();
    ASSERT_TRUE(space.operators || std::any_of(classes.begin(), classes.end(),
                                               [&](const LivClass& row) {
                                                 const auto of_row = integers_of(liquid, row);
                                                 return std::equal(all.begin() + 1, all.begin() + operator_genes, of_row.begin() + 1) &&
                                                        is_alike(featurizer, *find_featurizer(liquid, row.op.featurizer));
                                               }))
        << to_text(genome);
  }
}

/// Any integers: of rows with some changed, or none that mean anything.
Genome garbage(const Space& space, Stream& stream) {
  Genome genome;
  genome.livs.resize(space.depth);
  for (auto& liv : genome.livs) {
    for (std::size_t i = 0; i < liv_genes.size(); ++i) gene(liv, i) = static_cast<std::int16_t>(stream.below(i == 0 ? 27 : 3));
    const bool wild = stream.chance(0.2);
    for (auto& value : liv.segments) {
      if (stream.chance(wild ? 0.9 : 0.1)) value = static_cast<std::int16_t>(wild ? stream() : stream.below(40));
    }
  }
  return genome;
}

TEST(SegmentText, FollowsBehindColonsAndLeavesOutWhatTheClassSays) {
  auto genome = parse_genome("11111-12.1.1.1.1");
  genome.livs[0].segments[position(OperatorGene::sparsity)] = 2;
  genome.livs[1].segments[position(1, GroupGene::nonlinearity)] = 4;
  genome.livs[1].segments[position(3, GroupGene::token_mixing)] = 34;
  EXPECT_EQ(to_text(genome), "11111:00200-12.1.1.1.1:::004000::34.0.0.0.0.0");
  EXPECT_EQ(parse_genome(to_text(genome)), genome);
  EXPECT_EQ(parse_genome("11111:0.0.2.0.0::-12.1.1.1.1:00000::004000:000000:34.0.0.0.0.0"), genome)
      << "who leaves nothing out says the same";
  EXPECT_EQ(to_text(parse_genome("1111101:00200")), "1111101:00200");
  EXPECT_EQ(genes_needed(parse_genome("11111:00200")), 12u);
  EXPECT_EQ(genes_needed(parse_genome("11111-11111::004000")), 42u);
}

TEST(SegmentText, RoundTripsAnyIntegers) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < 5000; ++i) {
    Genome genome;
    genome.livs.resize(1 + stream.below(4));
    for (auto& liv : genome.livs) {
      for (std::size_t g = 0; g < all_genes_per_liv; ++g) {
        if (g < 5 || stream.chance(0.1)) gene(liv, g) = static_cast<std::int16_t>(stream.below(stream.chance(0.1) ? 32768 : 11));
      }
    }
    EXPECT_EQ(parse_genome(to_text(genome)), genome);
    const auto per_liv = genes_needed(genome);
    EXPECT_EQ(from_genes(to_genes(genome, per_liv), per_liv), genome);
  }
}

TEST(SegmentText, ErrorsNameTheCharacterAndTheCount) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      parse_genome(text);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message("11111-11111:0020"), HasSubstr("LIV 2, character 13: 4 digits found, 5 expected"));
  EXPECT_THAT(message("11111::00400"), HasSubstr("LIV 1, character 8: 5 digits found, 6 expected"));
  EXPECT_THAT(message("11111::0.0.40.0.0"), HasSubstr("LIV 1, character 8: 5 integers found, 6 expected"));
  EXPECT_THAT(message("11111:::::::004000"), HasSubstr("LIV 1, character 13: behind the operator there are at most 5 feature groups"));
  EXPECT_THAT(message("11111:0.0.2..0"), HasSubstr("an integer is missing"));
  EXPECT_THAT(message(":00200"), HasSubstr("LIV 1, character 1: 0 digits found, 5 or 7 expected"));
}

TEST(Expansions, HaveOneCodeEachAndTheCataloguesOwnComeLast) {
  for (const auto* catalogue : {&liquid, &Catalogue::star()}) {
    for (const auto code : expansion_codes(*catalogue)) EXPECT_EQ(expansion_code(*catalogue, *expansion_of(*catalogue, code)), code);
    for (const auto& liv_class : catalogue->classes()) {
      const auto all = integers_of(*catalogue, liv_class);
      EXPECT_EQ(objection(*catalogue, liv_class.differential, all), "") << liv_class.name;
    }
  }
  EXPECT_EQ(expansion_of(liquid, 3), (Expansion{1, 4, false}));
  EXPECT_EQ(expansion_of(liquid, 12), (Expansion{16, 1, true}));
  EXPECT_FALSE(expansion_of(liquid, 0));
  EXPECT_FALSE(expansion_of(liquid, 101));
  auto groups = liquid.featurizer_of(liquid.at("GMemless")).groups;
  for (auto& group : groups) group.expansion = {5, 7, false};
  const auto wider = liquid.extended(
      {{101, "Narrow", {101, TokenMixing::diagonal, Sparsity::none, Nonlinearity::silu, ChannelMixing::dense}, "", {}}}, {{101, groups}});
  EXPECT_EQ(expansion_code(wider, {5, 7, false}), 101);
  EXPECT_EQ(expansion_of(wider, 101), (Expansion{5, 7, false}));
}

TEST(Definition, IsTheClassWithTheIntegersOfTheSegments) {
  const auto banded = definition(liquid, liv_of("11111:00200"));
  EXPECT_EQ(banded.liv_class.name, "SA-1*");
  EXPECT_EQ(banded.liv_class.op,
            (OperatorGenome{1, TokenMixing::low_rank, Sparsity::banded, Nonlinearity::softmax, ChannelMixing::grouped}));
  EXPECT_EQ(banded.featurizer.groups, liquid.featurizer_of(liquid.at("SA-1")).groups);
  const auto groups = groups_of("11111:::34.0.4.0.0.0");
  EXPECT_EQ(groups[1].token_mixing, TokenMixing::toeplitz);
  EXPECT_EQ(groups[1].kernel, 4);
  EXPECT_EQ(groups[1].nonlinearity, Nonlinearity::silu);
  // Another featurizer brings its groups: a recurrence that was attention.
  const auto recurrence = definition(liquid, liv_of("11111:64011"));
  EXPECT_EQ(recurrence.featurizer.groups, liquid.featurizer_of(liquid.at("Rec-2")).groups);
  EXPECT_EQ(recurrence.liv_class.family, Family::recurrence);
  // A differential class doubles the groups it has now.
  EXPECT_EQ(definition(liquid, liv_of("18.1.1.1.1:50000")).featurizer.groups, liquid.featurizer_of(liquid.at("Rec-1-Diff")).groups);
}

TEST(Findings, SayWhatIsWrongWithSegments) {
  const auto finding = [](std::string_view text) { return findings(liquid, parse_genome(text)).at(0); };
  EXPECT_TRUE(findings(liquid, parse_genome("11111:00200")).empty());
  EXPECT_EQ(
      finding("81111-81111:00200"),
      "LIV 2: its segments make no operator of GMemless: structured sparsity 2 (banded) needs token mixing 2 or 3, found 1 (diagonal)");
  EXPECT_EQ(finding("81111:99.0.0.0.0"), "LIV 1: its segments make no operator of GMemless: there is no featurizer 99");
  EXPECT_EQ(finding("11111:::30.0.0.0.0.0"), "LIV 1: its segments make no operator of SA-1: token mixing 30 of 'k' has no taps");
  EXPECT_EQ(finding("11111:::0.0.0.0.77.0"), "LIV 1: its segments make no operator of SA-1: expansion 77 of 'k' means none");
  EXPECT_EQ(finding("11111:::::000010"), "LIV 1: its segments make no operator of SA-1: featurizer 1 has 3 feature groups, found more");
  EXPECT_EQ(finding("81111-11111:64001"),
            "LIV 2: its segments make no operator of SA-1: nonlinearity 2 (softmax) needs token mixing 2, found 4 (semi-separable)");
}

TEST(Canonical, OfSegmentsThatMakeAClassOfTheCatalogueIsThatClass) {
  const auto text = [](std::string_view genome) { return to_text(canonical(liquid, parse_genome(genome))); };
  EXPECT_EQ(text("11111:00000:"), "11111");
  EXPECT_EQ(text("11111:30000"), "31111") << "the featurizer of SA-3";
  EXPECT_EQ(text("11111:::000034:000034"), "31111") << "k and v as SA-3 has them";
  EXPECT_EQ(text("11111:64011"), "51111") << "Rec-2";
  EXPECT_EQ(text("11111:30200:"), "31111:00200");
  EXPECT_EQ(text("01111:00200-11111"), "11111-01111") << "nothing has no segments";
  // Equal classes share, however they are written; the text says it in one way.
  EXPECT_EQ(text("11112:30000-31112-81111"), text("31112-31112-81111"));
  EXPECT_EQ(phenotype_hash(liquid, parse_genome("11112:30000-31112-81111")), phenotype_hash(liquid, parse_genome("31112-31112-81111")));
}

TEST(Canonical, IsOneForAllWaysToWriteAClass) {
  Stream stream(3, Purpose::test);
  const auto space = space_of(true, true);
  for (int i = 0; i < rounds / 4; ++i) {
    const auto genome = mutate(space, sample(space, stream), 0.1, stream);
    const auto whole = repair(space, genome, stream);
    const auto form = canonical(liquid, whole);
    ASSERT_TRUE(findings(liquid, form).empty()) << to_text(form);
    ASSERT_EQ(canonical(liquid, form), form);
    ASSERT_EQ(make_plan(liquid, form), make_plan(liquid, whole));
    auto rewritten = whole;
    for (auto& liv : rewritten.livs) {
      const auto all = all_integers(liquid, liv);
      const auto& row = liquid.classes()[stream.below(liquid.classes().size())];
      if (row.differential != liquid.at(liv.liv_class).differential) continue;
      liv.liv_class = static_cast<std::int16_t>(row.id);
      set_integers(liquid, liv, all);
      ASSERT_EQ(all_integers(liquid, liv), all);
    }
    ASSERT_EQ(canonical(liquid, rewritten), form) << to_text(whole) << '\n' << to_text(rewritten);
    ASSERT_EQ(phenotype_hash(liquid, rewritten), phenotype_hash(liquid, whole));
  }
}

/// What a class is, whatever featurizers and rows are called.
std::string meaning(const ClassDefinition& made) {
  const auto& op = made.liv_class.op;
  auto text = std::to_string(static_cast<int>(op.token_mixing)) + std::to_string(static_cast<int>(op.sparsity)) +
              std::to_string(static_cast<int>(op.nonlinearity)) + std::to_string(static_cast<int>(op.channel_mixing)) +
              (made.liv_class.differential ? "d" : "");
  for (const auto& g : made.featurizer.groups) {
    text += ' ' + g.name;
    for (const int number : {static_cast<int>(g.parametrisation), static_cast<int>(g.token_mixing), g.kernel,
                             static_cast<int>(g.nonlinearity), static_cast<int>(g.channel_mixing), g.expansion.numerator,
                             g.expansion.denominator, static_cast<int>(g.expansion.per_token), g.repeat}) {
      text += '.' + std::to_string(number);
    }
  }
  return text;
}

TEST(Canonical, ClassesAndTheirMeaningsAreOneToOne) {
  Stream stream(4, Purpose::test);
  const auto space = space_of(true, true);
  std::map<std::string, std::string> form_of;
  std::map<std::string, std::string> meaning_of;
  std::size_t seen = 0;
  for (int i = 0; i < rounds / 4; ++i) {
    for (auto liv : repair(space, mutate(space, sample(space, stream), 0.02, stream), stream).livs) {
      const auto made = meaning(definition(liquid, liv));
      const Genome alone{{{.liv_class = liv.liv_class, .segments = liv.segments}}};
      const auto form = to_text(canonical(liquid, alone));
      ASSERT_EQ(form_of.try_emplace(made, form).first->second, form) << to_text(alone);
      ASSERT_EQ(meaning_of.try_emplace(form, made).first->second, made) << to_text(alone);
      ++seen;
    }
  }
  EXPECT_LT(form_of.size(), seen);
  EXPECT_GT(form_of.size(), seen / 8);
}

TEST(Canonical, RowsThatAreThereTwiceAreOneClass) {
  auto again = liquid.at("SA-1");
  again.id = 101;
  again.name = "Mine";
  const auto catalogue = liquid.extended({again}, {});
  EXPECT_EQ(to_text(canonical(catalogue, parse_genome("101.1.1.1.1-81111"))), "11111-81111");
  EXPECT_EQ(make_plan(catalogue, parse_genome("101.1.2.1.1-11211")).livs[1].weight_owner, 0u);
}

TEST(SegmentVariation, WhateverIsSampledCrossedMutatedAndRepairedIsLegal) {
  Stream stream(5, Purpose::test);
  for (int i = 0; i < rounds; ++i) {
    auto space = space_of(i % 2 == 0, i % 3 != 0, 2 + stream.below(6));
    space.width = std::array{16, 48, 64, 768}[stream.below(4)];
    space.variable_depth = stream.chance(0.3);
    space.paths = stream.chance(0.3);
    const auto expect_whole = [&](const Genome& genome) {
      expect_operator(space, genome);
      ASSERT_TRUE(findings(liquid, genome).empty()) << to_text(genome) << findings(liquid, genome).at(0);
      ASSERT_TRUE(mixes_and_maps(liquid, genome)) << to_text(genome);
      const auto form = canonical(liquid, genome);
      expect_operator(space, form);
      ASSERT_EQ(parse_genome(to_text(form)), form);
      Repairs none;
      Stream used(9, Purpose::repair), fresh(9, Purpose::repair);
      for (const auto& again : {genome, form}) ASSERT_EQ(repair(space, again, used, &none), again) << to_text(again);
      ASSERT_EQ(none, Repairs{});
      ASSERT_EQ(used(), fresh());
    };
    const auto a = canonical(liquid, sample(space, stream));
    expect_whole(a);
    const auto b = canonical(liquid, repair(space, garbage(space, stream), stream));
    expect_whole(b);
    const auto points = static_cast<int>(stream.below(searched_genes(space).size() * space.depth));
    const auto crossed = repair(space, crossover(space, a, b, points, stream), stream);
    expect_whole(crossed);
    expect_whole(repair(space, mutate(space, crossed, stream.chance(0.5) ? 0.1 : 1.0, stream), stream));
    if (HasFatalFailure()) return;
  }
}

TEST(SegmentVariation, IsAFunctionOfTheStreamAndDrawsNothingWhereItIsOff) {
  for (const bool on : {false, true}) {
    const auto space = space_of(on, on);
    Stream a(7, Purpose::sample), b(7, Purpose::sample), c(7, Purpose::sample);
    const auto first = sample(space, a);
    EXPECT_EQ(first, sample(space, b));
    EXPECT_EQ(mutate(space, first, 0.2, a), mutate(space, first, 0.2, b));
    EXPECT_EQ(sample(Space{}, c) == first, !on);
  }
}

TEST(SegmentVariation, ReachesEveryValueOfEveryPosition) {
  Stream stream(8, Purpose::test);
  const auto space = space_of(true, true, 4);
  std::map<std::pair<std::string, std::string>, std::set<std::int16_t>> seen;  // by group, "" for operators, and gene
  auto genome = sample(space, stream);
  for (int i = 0; i < 5 * rounds; ++i) {
    genome = repair(space, mutate(space, genome, 0.1, stream), stream);
    for (const auto& liv : genome.livs) {
      const auto made = definition(liquid, liv);
      const auto all = all_integers(liquid, liv);
      for (std::size_t p = 0; p < operator_genes; ++p) seen[{"", segment_gene_name(p)}].insert(all[p]);
      const auto& groups = find_featurizer(liquid, made.liv_class.op.featurizer)->groups;
      for (std::size_t g = 0; g < groups.size(); ++g) {
        for (std::size_t p = 0; p < group_genes; ++p) {
          const auto place = operator_genes + g * group_genes + p;
          seen[{groups[g].name, segment_gene_name(place).substr(std::string("group1_").size())}].insert(all[place]);
        }
      }
    }
  }
  EXPECT_EQ((seen[{"", "operator_featurizer"}].size()), 12u);
  EXPECT_THAT((seen[{"", "operator_token_mixing"}]), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT((seen[{"", "operator_sparsity"}]), ElementsAre(1, 2, 3));
  EXPECT_THAT((seen[{"", "operator_nonlinearity"}]), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT((seen[{"", "operator_channel_mixing"}]), ElementsAre(1, 2, 3, 4));
  for (const auto* group : {"q", "k", "v", "B", "C", "z", "gate", "value"}) {
    EXPECT_THAT((seen[{group, "token_mixing"}]), ElementsAre(1, 32, 33, 34, 38)) << group;
    EXPECT_THAT((seen[{group, "nonlinearity"}]), ElementsAre(1, 3, 4, 5)) << group;
    EXPECT_THAT((seen[{group, "channel_mixing"}]), ElementsAre(1, 2, 3, 4)) << group;
    EXPECT_THAT((seen[{group, "sparsity"}]), ElementsAre(1)) << "legality.hpp: a convolution is as short as its taps say";
  }
  EXPECT_THAT((seen[{"K", "token_mixing"}]), ElementsAre(3, 32, 33, 34, 38));
  EXPECT_THAT((seen[{"k", "expansion"}]), ElementsAre(1, 2, 3)) << "a quarter of four heads is the least";
  EXPECT_THAT((seen[{"k", "repeat"}]), ElementsAre(1, 2, 4));
  EXPECT_THAT((seen[{"B", "expansion"}]), ElementsAre(1, 9, 10, 11, 12)) << "1 in convolutions, states per token in recurrences";
  EXPECT_EQ((seen[{"gate", "expansion"}].size()), expansion_codes(liquid).size());
}

TEST(Repair, CountsTheIntegersOfSegments) {
  const auto counts = [](std::string_view text, bool operators, bool featurizers) {
    Repairs repairs;
    Stream stream(1, Purpose::repair);
    const auto genome = parse_genome(text);
    const auto space = space_of(operators, featurizers, genome.depth());
    const auto mended = repair(space, genome, stream, &repairs);
    expect_operator(space, mended);
    return repairs;
  };
  EXPECT_EQ(counts("11111:00200-81111", true, true), Repairs{});
  EXPECT_EQ(counts("11111:00900-81111", true, false), (Repairs{.illegal_operator = 1}));
  EXPECT_EQ(counts("11111:00999-81111:00300", true, true), (Repairs{.illegal_operator = 4}));
  EXPECT_EQ(counts("11111:::000033-81111", true, true), (Repairs{.illegal_featurizer = 1})) << "a quarter, three times";
  EXPECT_EQ(counts("81111::000010-11111", true, true), (Repairs{.illegal_featurizer = 1})) << "the value is as wide as the gate";
  EXPECT_EQ(counts("11111::009000-81111", false, true), (Repairs{.illegal_featurizer = 1}));
  EXPECT_EQ(counts("11111:00200-81111", false, true), (Repairs{.illegal_integer = 1})) << "the operator is the catalogue's here";
  EXPECT_EQ(counts("11111::004000-81111", true, false), (Repairs{.illegal_integer = 1}));
  EXPECT_EQ(counts("11111:00200-81111", false, false), (Repairs{.illegal_integer = 1}));
  EXPECT_EQ(Repairs{.illegal_operator = 2}.total() + Repairs{.illegal_featurizer = 3}.total(), 5u);
}

TEST(Crossover, OfSegmentsTakesWhatTheParentsHaveWhateverTheyCallIt) {
  // SA-3 and SA-1 with all integers of SA-3's groups but one are neighbours: every child's k repeats four times.
  const auto space = space_of(true, true, 2);
  const auto a = parse_genome("31111-81111"), b = parse_genome("11111:::004034:000034-81111");
  Stream stream(11, Purpose::test);
  std::set<int> nonlinearities;
  for (int i = 0; i < 200; ++i) {
    const auto child = crossover(space, a, b, 2, stream);
    const auto groups = definition(liquid, child.livs[0]).featurizer.groups;
    EXPECT_EQ(groups[1].repeat, 4);
    EXPECT_EQ(groups[1].expansion, (Expansion{1, 4, false}));
    nonlinearities.insert(static_cast<int>(groups[1].nonlinearity));
  }
  EXPECT_THAT(nonlinearities, ElementsAre(1, 4));
  EXPECT_EQ(searched_genes(space).size(), 40u);
  EXPECT_EQ(searched_genes(space_of(true, false)).size(), 10u);
  EXPECT_EQ(searched_genes(space_of(false, true)).size(), 35u);
}

TEST(Mutate, OfSegmentsKeepsThoseWhoShareOfOneClass) {
  Stream stream(12, Purpose::test);
  const auto space = space_of(true, true, 4);
  const auto genome = parse_genome("11211-11111-11211-81111");
  int moved = 0, parted = 0, apart = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto mutant = mutate(space, genome, 0.02, stream);
    if (mutant.livs[0].liv_class != 1 || mutant.livs[2].liv_class != 1) continue;
    // But for one that got another class and then what a third has.
    apart += mutant.livs[0].segments != mutant.livs[2].segments;
    moved += has_segments(mutant.livs[0]);
    parted += mutant.livs[0].segments != mutant.livs[1].segments;
  }
  EXPECT_GT(moved, 300);
  EXPECT_LT(apart, 30);
  EXPECT_GT(parted, 200) << "who shares nothing changes for itself";
}

TEST(Mutate, OfSegmentsLetsLivsOfOneClassChangeAlikeAndOthersJoinThem) {
  Stream stream(14, Purpose::test);
  const auto space = space_of(true, true, 4);
  const auto genome = parse_genome("11111:00200-41111-11111:00200-81111");
  int alike = 0, changed = 0, joined = 0, drawn = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto mutant = mutate(space, genome, 0.05, stream);
    const auto& livs = mutant.livs;
    if (livs[0].liv_class == 1 && livs[2].liv_class == 1 && livs[0].segments != genome.livs[0].segments) {
      ++changed;
      alike += livs[0].segments == livs[2].segments;
    }
    if (livs[1].liv_class == 4) continue;
    ++drawn;
    joined += livs[1].liv_class == 1 && livs[1].segments == livs[0].segments;
  }
  EXPECT_NEAR(alike / double(changed), 0.5, 0.08);
  EXPECT_GT(joined / double(drawn), 0.15);
  EXPECT_LT(joined / double(drawn), 0.45);
}

TEST(Mutate, OfAClassStartsFromItsIntegers) {
  Stream stream(13, Purpose::test);
  const auto space = space_of(true, false, 2);
  const auto genome = parse_genome("11111:00200-81111");
  int changed = 0;
  for (int i = 0; i < 4000; ++i) {
    auto mutant = mutate(space, genome, 0.01, stream).livs[0];
    if (mutant.liv_class == 1) continue;
    changed += !has_segments(mutant);
  }
  EXPECT_GT(changed, 20);
}

TEST(RequireSearchable, AsksForAWidthThatAllClassesFitWhereSegmentsVary) {
  auto space = space_of(true, true);
  EXPECT_NO_THROW(require_searchable(space));
  space.width = 17;
  EXPECT_THROW(require_searchable(space), UserError);
  space.operators = space.featurizers = false;
  EXPECT_NO_THROW(require_searchable(space));
}

TEST(Accounting, OfSegmentsIsThatOfTheRowTheyAmountTo) {
  const Dimensions sizes{.width = 64, .length = 32, .vocabulary = 11};
  const auto same = [&](std::string_view a, std::string_view b) {
    const auto x = account(liquid, parse_genome(a), sizes), y = account(liquid, parse_genome(b), sizes);
    EXPECT_EQ(x.parameters.total(), y.parameters.total()) << a;
    EXPECT_EQ(x.cache.bytes(32), y.cache.bytes(32)) << a;
    EXPECT_EQ(x.training_flops, y.training_flops) << a;
  };
  same("11112:30000-31112-81111", "31112-31112-81111");
  same("11111:64011-81111:00050", "51111-91111");
}

}  // namespace
}  // namespace starling::genome
