#include <starling/genome/baselines.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include <starling/base/error.hpp>
#include <starling/genome/validity.hpp>

namespace starling::genome {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(std::string_view text, std::size_t depth = 6) {
  try {
    genome_or_baseline(Catalogue::liquid(), text, depth);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

std::string classes_of(std::string_view name, std::size_t depth) {
  std::string text;
  for (const auto& liv : baseline(Catalogue::liquid(), name, depth).livs) {
    text += static_cast<char>('0' + liv.liv_class);
    EXPECT_EQ(liv.featurizer_strategy, 1);
    EXPECT_EQ(liv.feature_strategy, 1);
  }
  return text;
}

TEST(Baselines, TransformerAlternates) {
  EXPECT_EQ(classes_of("transformer++", 6), "181818");
  EXPECT_EQ(classes_of("transformer++", 1), "1");
}

TEST(Baselines, StripedMambaPutsOneAttentionInSixMixers) {
  EXPECT_EQ(classes_of("striped-mamba", 6), "481848");
  EXPECT_EQ(classes_of("striped-mamba", 2), "18");
  // 12 mixers, 2 of them attention, at mixer positions 3 and 9.
  EXPECT_EQ(classes_of("striped-mamba", 24), "484848184848484848184848");
  // 9 mixers: 9 / 6 rounds to 2, at ⌊9/4⌋ and ⌊27/4⌋.
  EXPECT_EQ(classes_of("striped-mamba", 18), "484818484848184848");
}

TEST(Baselines, StripedHyenaHasTheSameStripes) {
  EXPECT_EQ(classes_of("striped-hyena", 6), "781878");
  EXPECT_EQ(classes_of("striped-hyena", 24), "787878187878787878187878");
}

TEST(Baselines, AreValidAndCanonicalAtAnyDepth) {
  const auto& catalogue = Catalogue::liquid();
  EXPECT_THAT(baseline_names(catalogue), ElementsAre("transformer++", "striped-mamba", "striped-hyena"));
  for (const auto& name : baseline_names(catalogue)) {
    for (std::size_t depth = 1; depth <= 60; ++depth) {
      const auto genome = baseline(catalogue, name, depth);
      EXPECT_EQ(genome.depth(), depth);
      EXPECT_TRUE(findings(catalogue, genome).empty());
      EXPECT_EQ(canonical(catalogue, genome), genome);
      EXPECT_EQ(mixes_and_maps(catalogue, genome), depth > 1);
    }
  }
}

TEST(Baselines, OfTheCatalogueStarHaveItsIds) {
  const auto& star = Catalogue::star();
  EXPECT_THAT(baseline_names(star), ElementsAre("transformer++", "striped-mamba", "striped-hyena"));
  EXPECT_EQ(to_text(baseline(star, "transformer++", 4)), "11111-91111-11111-91111");
  EXPECT_EQ(to_text(baseline(star, "striped-mamba", 6)), "51111-91111-11111-91111-51111-91111");
  EXPECT_EQ(to_text(baseline(star, "striped-hyena", 6)), "81111-91111-11111-91111-81111-91111");
}

TEST(Baselines, OfASmallerCatalogueAreThoseItHasTheClassesFor) {
  const auto& liquid = Catalogue::liquid();
  const Catalogue small("small", {liquid.at("SA-1"), liquid.at("GMemless")},
                        {liquid.featurizer_of(liquid.at("SA-1")), liquid.featurizer_of(liquid.at("GMemless"))});
  EXPECT_THAT(baseline_names(small), ElementsAre("transformer++"));
  EXPECT_THROW(baseline(small, "striped-mamba", 6), UserError);
}

TEST(GenomeOrBaseline, ReadsBoth) {
  EXPECT_EQ(to_text(genome_or_baseline(Catalogue::liquid(), "transformer++", 2)), "11111-81111");
  EXPECT_EQ(to_text(genome_or_baseline(Catalogue::liquid(), "41111", 6)), "41111") << "a genome has its own depth";
  EXPECT_THAT(message_of("transformer"), HasSubstr("did you mean 'transformer++'?"));
  EXPECT_THAT(message_of("striped-mamba", 0), HasSubstr("at least 1"));
  EXPECT_THAT(message_of("99.1.1.1.1"), HasSubstr("LIV 1: class 99 is not in the catalogue 'liquid'"));
  EXPECT_THAT(message_of("1111"), HasSubstr("4 digits"));
  EXPECT_THAT(message_of(""), HasSubstr("no LIV"));
}

// --- matched to a size

constexpr Dimensions at_768{.width = 768, .length = 4096, .vocabulary = 257};

std::int64_t size_of(std::string_view name, std::size_t depth, Dimensions sizes, std::int64_t width) {
  sizes.width = width;
  return account(Catalogue::liquid(), baseline(Catalogue::liquid(), name, depth), sizes).parameters.without_embedding();
}

TEST(MatchedBaseline, IsTheSameArchitectureWhereItsOwnSizeIsAskedFor) {
  for (const auto vary : {Vary::depth, Vary::width, Vary::nearest}) {
    const auto match = matched_baseline(Catalogue::liquid(), "transformer++", 24, at_768, 84'934'656 + 19'200, vary);
    EXPECT_EQ(match.depth, 24u);
    EXPECT_EQ(match.width, 768);
    EXPECT_EQ(match.parameters, 84'934'656 + 19'200);
  }
}

TEST(MatchedBaseline, ComesAsNearAsAnyDepthOrWidthDoes) {
  const Dimensions sizes{.width = 96, .length = 256, .vocabulary = 257};
  for (const auto& name : baseline_names(Catalogue::liquid())) {
    for (const std::int64_t target : {20'000, 123'456, 304'928, 2'000'000}) {
      const auto deep = matched_baseline(Catalogue::liquid(), name, 6, sizes, target, Vary::depth);
      const auto wide = matched_baseline(Catalogue::liquid(), name, 6, sizes, target, Vary::width);
      const auto nearest = matched_baseline(Catalogue::liquid(), name, 6, sizes, target, Vary::nearest);
      const auto off = [&](std::int64_t parameters) { return std::abs(parameters - target); };
      EXPECT_EQ(deep.width, 96);
      EXPECT_EQ(wide.depth, 6u);
      EXPECT_EQ(deep.parameters, size_of(name, deep.depth, sizes, 96));
      EXPECT_EQ(wide.parameters, size_of(name, 6, sizes, wide.width));
      EXPECT_EQ(off(nearest.parameters), std::min(off(deep.parameters), off(wide.parameters)));
      for (std::size_t depth = 2; depth <= 80; ++depth) EXPECT_LE(off(deep.parameters), off(size_of(name, depth, sizes, 96))) << depth;
      for (std::int64_t width = 16; width < 512; width += 16) EXPECT_LE(off(wide.parameters), off(size_of(name, 6, sizes, width))) << width;
    }
  }
}

TEST(MatchedBaseline, PassesOverWidthsThatDoNotFit) {
  const Dimensions sizes{.width = 96, .length = 256, .vocabulary = 257};
  const auto target = size_of("transformer++", 6, sizes, 112);
  const auto fits = [](std::int64_t width) { return width != 112; };
  EXPECT_EQ(matched_baseline(Catalogue::liquid(), "transformer++", 6, sizes, target, Vary::width).width, 112);
  EXPECT_NE(matched_baseline(Catalogue::liquid(), "transformer++", 6, sizes, target, Vary::width, fits).width, 112);
  EXPECT_THROW(matched_baseline(Catalogue::liquid(), "transformer++", 6, sizes, target, Vary::width, [](std::int64_t) { return false; }),
               UserError);
  EXPECT_THROW(matched_baseline(Catalogue::liquid(), "transformer+", 6, sizes, target), UserError);
}

}  // namespace
}  // namespace starling::genome
