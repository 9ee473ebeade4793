#include <starling/genome/legality.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace starling::genome {
namespace {

using testing::HasSubstr;

OperatorGenome integers(int token_mixing, int sparsity, int nonlinearity, int channel_mixing) {
  return {1, static_cast<TokenMixing>(token_mixing), static_cast<Sparsity>(sparsity), static_cast<Nonlinearity>(nonlinearity),
          static_cast<ChannelMixing>(channel_mixing)};
}

FeatureGroup group(std::string name, Parametrisation parametrisation = Parametrisation::input, Expansion expansion = {}) {
  FeatureGroup result;
  result.name = std::move(name);
  result.parametrisation = parametrisation;
  result.expansion = expansion;
  return result;
}

/// Groups that fit a token mixing.
std::vector<FeatureGroup> groups_for(int token_mixing) {
  const Expansion pair{2, 1, true};
  switch (token_mixing) {
    case 1:
      return {group("gate"), group("value")};
    case 2:
      return {group("q"), group("k"), group("v")};
    case 3: {
      auto kernel = group("K", Parametrisation::direct);
      kernel.token_mixing = TokenMixing::toeplitz;
      kernel.kernel = 3;
      kernel.channel_mixing = ChannelMixing::diagonal;
      return {group("B"), group("C"), group("v"), kernel};
    }
    default:
      return {group("B", Parametrisation::input, pair), group("C", Parametrisation::input, pair),
              group("A", Parametrisation::decay, {2, 1, false}), group("v")};
  }
}

/// What is said of the groups after a change to the named one.
template <class Change>
std::string complaint(int token_mixing, const char* name, Change change) {
  const OperatorGenome op = token_mixing == 1   ? integers(1, 1, 4, 2)
                            : token_mixing == 2 ? integers(2, 1, 2, 3)
                                                : integers(token_mixing, 1, 1, 1);
  auto groups = groups_for(token_mixing);
  for (auto& candidate : groups) {
    if (candidate.name == name) change(candidate);
  }
  return objection(op, groups, false);
}

TEST(Legality, OfTheFourIntegersIsTheTable) {
  // Written as SYSTEM.md says it: softmax only with token mixing 2; nonlinearities 3–5 only with 1 and 2; banded and
  // block-diagonal only with 2 and 3; and the channel mixings that T of each token mixing can have.
  const std::set<int> channel_mixings[] = {{}, {2}, {2, 3}, {1}, {1}};
  int legal = 0;
  for (int token_mixing = 1; token_mixing <= 4; ++token_mixing) {
    for (int sparsity = 1; sparsity <= 3; ++sparsity) {
      for (int nonlinearity = 1; nonlinearity <= 5; ++nonlinearity) {
        for (int channel_mixing = 1; channel_mixing <= 4; ++channel_mixing) {
          const bool expected = !(nonlinearity == 2 && token_mixing != 2) && !(nonlinearity > 2 && token_mixing > 2) &&
                                !(sparsity > 1 && token_mixing != 2 && token_mixing != 3) &&
                                channel_mixings[token_mixing].contains(channel_mixing);
          const auto found = objection(integers(token_mixing, sparsity, nonlinearity, channel_mixing), groups_for(token_mixing), false);
          EXPECT_EQ(found.empty(), expected) << token_mixing << sparsity << nonlinearity << channel_mixing << ' ' << found;
          legal += found.empty();
        }
      }
    }
  }
  EXPECT_EQ(legal, 4 + 30 + 3 + 1);
}

TEST(Legality, ReasonsNameWhatWasFoundAndWhatIsNeeded) {
  EXPECT_EQ(objection(integers(3, 1, 2, 1), groups_for(3), false), "nonlinearity 2 (softmax) needs token mixing 2, found 3 (Toeplitz)");
  EXPECT_EQ(objection(integers(4, 1, 4, 1), groups_for(4), false),
            "nonlinearity 4 (SiLU) needs token mixing 1 or 2, found 4 (semi-separable)");
  EXPECT_EQ(objection(integers(1, 2, 4, 2), groups_for(1), false),
            "structured sparsity 2 (banded) needs token mixing 2 or 3, found 1 (diagonal)");
  EXPECT_THAT(objection(integers(2, 1, 2, 1), groups_for(2), false),
              HasSubstr("has channel mixing 2 (one head) or 3 (heads), found 1 (diagonal)"));
  EXPECT_EQ(objection(integers(5, 1, 1, 1), groups_for(4), false), "token mixing 5 is not in 1 … 4");
  EXPECT_EQ(objection(integers(2, 0, 1, 3), groups_for(2), false), "structured sparsity 0 is not in 1 … 3");
  EXPECT_EQ(objection(integers(2, 1, 6, 3), groups_for(2), false), "nonlinearity 6 is not in 1 … 5");
}

TEST(Legality, AsksForExactlyTheGroupsThatTheTokenMixingUses) {
  auto attention = groups_for(2);
  attention.pop_back();
  EXPECT_EQ(objection(integers(2, 1, 2, 3), attention, false),
            "the feature group 'v' is missing: token mixing 2 (low rank) uses the groups q, k, v");
  attention.push_back(group("v"));
  attention.push_back(group("z"));
  EXPECT_THAT(objection(integers(2, 1, 2, 3), attention, false), HasSubstr("'z' would be computed and never used"));
  attention.back().name = "q";
  EXPECT_THAT(objection(integers(2, 1, 2, 3), attention, false), HasSubstr("'q' is there twice"));
  // A selective recurrence has a gate z, one with decays has none.
  auto recurrence = groups_for(4);
  recurrence[2] = group("A", Parametrisation::selective);
  EXPECT_THAT(objection(integers(4, 1, 1, 1), recurrence, false), HasSubstr("'z' is missing"));
  recurrence.push_back(group("z"));
  EXPECT_EQ(objection(integers(4, 1, 1, 1), recurrence, false), "");
}

TEST(Legality, OfAGroupIsOneRuleAtATime) {
  using G = FeatureGroup;
  EXPECT_EQ(complaint(2, "k", [](G&) {}), "");
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.sparsity = Sparsity::banded; }), HasSubstr("'k' needs structured sparsity 1"));
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.token_mixing = TokenMixing::low_rank; }), HasSubstr("token mixing 1 or 3"));
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.kernel = 3; }), HasSubstr("no taps where its token mixing is 1, found 3"));
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.token_mixing = TokenMixing::toeplitz; }), HasSubstr("1 … 8 taps"));
  EXPECT_EQ(complaint(2, "k", [](G& g) { g.token_mixing = TokenMixing::toeplitz, g.kernel = 8; }), "");
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.token_mixing = TokenMixing::toeplitz, g.kernel = 9; }), HasSubstr("found 9"));
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.nonlinearity = Nonlinearity::softmax; }),
              HasSubstr("nonlinearity 1, 3, 4 or 5, found 2 (softmax)"));
  EXPECT_EQ(complaint(2, "k", [](G& g) { g.nonlinearity = Nonlinearity::gelu; }), "");
  EXPECT_EQ(complaint(2, "k", [](G& g) { g.channel_mixing = ChannelMixing::diagonal; }), "");
  EXPECT_EQ(complaint(2, "k", [](G& g) { g.channel_mixing = ChannelMixing::monarch; }), "");
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.parametrisation = Parametrisation::direct; }), HasSubstr("a projection of the input"));
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.expansion = {1, 4}; }), HasSubstr("expansion × repeat = 1, found expansion 1/4 and repeat 1"));
  EXPECT_EQ(complaint(2, "k", [](G& g) { g.expansion = {1, 4}, g.repeat = 4; }), "");
  EXPECT_THAT(complaint(2, "k",
                        [](G& g) {
                          g.expansion = {1, 4}, g.repeat = 4, g.channel_mixing = ChannelMixing::diagonal;
                        }),
              HasSubstr("expansion 1 where its channel mixing is 1"));
  EXPECT_THAT(complaint(2, "k", [](G& g) { g.expansion = {1, 0}; }), HasSubstr("numbers are in 1 … 4096"));
  EXPECT_THAT(complaint(2, "q", [](G& g) { g.expansion = {1, 4}, g.repeat = 4; }), HasSubstr("'q' needs no repeat"));
  EXPECT_THAT(complaint(1, "value", [](G& g) { g.expansion = {8, 3}; }), HasSubstr("'value' needs the expansion of 'gate'"));
  EXPECT_THAT(complaint(1, "gate", [](G& g) { g.repeat = 2; }), HasSubstr("no repeat"));
  EXPECT_THAT(complaint(3, "B", [](G& g) { g.expansion = {2, 1}; }), HasSubstr("expansion 1 and no repeat"));
  EXPECT_THAT(complaint(3, "K", [](G& g) { g.parametrisation = Parametrisation::input; }), HasSubstr("direct or implicit"));
  EXPECT_THAT(complaint(3, "K", [](G& g) { g.parametrisation = Parametrisation::implicit; }), HasSubstr("no taps"));
  EXPECT_THAT(complaint(3, "K", [](G& g) { g.kernel = 9; }), HasSubstr("1 … 8 taps, found 9"));
  EXPECT_THAT(complaint(4, "C", [](G& g) { g.expansion = {3, 1, true}; }), HasSubstr("as many states per token as B"));
  EXPECT_THAT(complaint(4, "A", [](G& g) { g.expansion = {3, 1}; }), HasSubstr("expansion 2, a decay per channel and state of B"));
  EXPECT_THAT(complaint(4, "v", [](G& g) { g.expansion = {3, 1}; }), HasSubstr("expansion 1"));
}

TEST(Legality, OfWholeClasses) {
  auto groups = groups_for(2);
  groups[1].expansion = {1, 2};
  groups[1].repeat = 2;
  EXPECT_EQ(objection(integers(2, 1, 2, 3), groups, false), "");
  EXPECT_THAT(objection(integers(2, 1, 2, 3), groups, true), HasSubstr("splits the heads of k and v alike"));
  EXPECT_EQ(objection(integers(2, 1, 3, 3), groups, true), "");
  EXPECT_THAT(objection(integers(2, 1, 1, 3), groups, false), HasSubstr("k and v repeat alike"));
  EXPECT_EQ(objection(integers(2, 2, 1, 3), groups, false), "");
  EXPECT_THAT(objection(integers(1, 1, 4, 2), groups_for(1), true), HasSubstr("only a token mixer"));
}

TEST(Legality, OfAStateSpaceHasLearnedBAndC) {
  auto groups = groups_for(4);
  groups.push_back(group("z"));
  for (const auto i : {0u, 1u, 2u}) {
    groups[i] = group(groups[i].name, Parametrisation::direct);
    groups[i].channel_mixing = ChannelMixing::diagonal;
  }
  EXPECT_EQ(objection(integers(4, 1, 1, 1), groups, true), "");
  EXPECT_EQ(objection(integers(4, 1, 1, 4), groups, false), "");
  groups[2].parametrisation = Parametrisation::liquid;
  EXPECT_EQ(objection(integers(4, 1, 1, 4), groups, false), "");
  groups[0].parametrisation = Parametrisation::input;
  EXPECT_THAT(objection(integers(4, 1, 1, 1), groups, false), HasSubstr("'B' needs a direct parametrisation, as A has one"));
  EXPECT_THAT(objection(integers(4, 1, 1, 4), groups_for(4), false), HasSubstr("channel mixing 4 (Monarch) is that of"));
}

TEST(Legality, AtAWidthCountsHeadsAndBlocks) {
  auto groups = groups_for(2);
  groups[1].expansion = {1, 8};
  groups[1].repeat = 8;
  const auto heads = integers(2, 1, 2, 3);
  ASSERT_EQ(objection(heads, groups, false), "");
  EXPECT_EQ(objection_at(64, heads, groups), "the feature group 'k' is repeated 8 times, but there are 4 heads at width 64");
  EXPECT_EQ(objection_at(512, heads, groups), "");
  EXPECT_THAT(objection_at(512, integers(2, 1, 2, 2), groups), HasSubstr("there is 1 head"));
  auto recurrence = groups_for(4);
  recurrence[0].channel_mixing = ChannelMixing::grouped;
  ASSERT_EQ(objection(integers(4, 1, 1, 1), recurrence, false), "");
  EXPECT_EQ(objection_at(64, integers(4, 1, 1, 1), recurrence),
            "the feature group 'B' has 2 channels at width 64, no multiple of the 4 blocks of a grouped projection");
}

TEST(Legality, HoldsForEveryClassOfTheCatalogues) {
  for (const auto& name : Catalogue::names()) {
    const auto& catalogue = Catalogue::named(name);
    for (const auto& liv_class : catalogue.classes()) {
      for (const std::int64_t width : {16, 48, 96, 256, 768, 2048}) {
        EXPECT_EQ(objection_at(width, liv_class.op, catalogue.featurizer_of(liv_class).groups), "") << liv_class.name;
      }
    }
  }
}

}  // namespace
}  // namespace starling::genome
