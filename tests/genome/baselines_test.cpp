#include <starling/genome/baselines.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace starling::genome
