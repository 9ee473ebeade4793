#include <starling/genome/genome.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>

namespace starling::genome {
namespace {

using testing::HasSubstr;

std::string message_of(const std::string& text) {
  try {
    parse_genome(text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(GenomeText, ReadsTheExampleOfTheReference) {
  const auto genome = parse_genome("21211-31112-21221-32112");
  ASSERT_EQ(genome.depth(), 4u);
  EXPECT_EQ(genome.livs[0], (Liv{2, 1, 2, 1, 1}));
  EXPECT_EQ(genome.livs[3], (Liv{3, 2, 1, 1, 2}));
  EXPECT_EQ(to_text(genome), "21211-31112-21221-32112");
}

TEST(GenomeText, WritesDotsOnlyWhereAnIntegerExceedsNine) {
  const Genome genome{{{12, 1, 2, 1, 1}, {9, 9, 2, 9, 4}, {1, 10, 2, 1, 1}}};
  EXPECT_EQ(to_text(genome), "12.1.2.1.1-99294-1.10.2.1.1");
  EXPECT_EQ(parse_genome("12.1.2.1.1-99294-1.10.2.1.1"), genome);
  EXPECT_EQ(parse_genome("12.1.2.1.1-9.9.2.9.4-1.10.2.1.1"), genome) << "dots are allowed everywhere";
}

TEST(GenomeText, WritesPathAndRouteWhereThereIsOne) {
  const Genome genome{{{2, 1, 2, 1, 1}, {3, 1, 1, 1, 2, 1, 0}, {8, 1, 1, 1, 1, 12, 1}, {8, 1, 1, 1, 1, 0, 1}}};
  EXPECT_EQ(to_text(genome), "21211-3111210-8.1.1.1.1.12.1-8111101");
  EXPECT_EQ(parse_genome("21211-3111210-8.1.1.1.1.12.1-8111101"), genome);
  EXPECT_EQ(to_text(parse_genome("2121100-3.1.1.1.2.0.0")), "21211-31112") << "who leaves nothing out says the same";
}

TEST(GenomeText, RoundTripsAnyIntegers) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < 20000; ++i) {
    const auto per_liv = stream.chance(0.5) ? genes_per_liv : liv_genes.size();
    std::vector<std::int16_t> genes(per_liv * (1 + stream.below(6)));
    // Mostly single digits, so that both forms of a LIV stand next to each other.
    for (auto& gene : genes) gene = static_cast<std::int16_t>(stream.below(stream.chance(0.1) ? 32768 : 11));
    const auto genome = from_genes(genes, per_liv);
    EXPECT_EQ(parse_genome(to_text(genome)), genome);
    EXPECT_EQ(to_genes(genome, per_liv), genes);
  }
}

TEST(GenomeText, ErrorsNameTheLivAndTheCharacter) {
  EXPECT_THAT(message_of("21211-3x112"), HasSubstr("LIV 2, character 8: 'x' found"));
  EXPECT_THAT(message_of("2121"), HasSubstr("LIV 1, character 1: 4 digits found, 5 or 7 expected"));
  EXPECT_THAT(message_of("21211-211111"), HasSubstr("LIV 2, character 7: 6 digits found, 5 or 7 expected"));
  EXPECT_THAT(message_of("21211-2.1.1.1"), HasSubstr("LIV 2, character 7: 4 integers found, 5 or 7 expected"));
  EXPECT_THAT(message_of("21211-2.1..1.1"), HasSubstr("LIV 2, character 11: an integer is missing"));
  EXPECT_THAT(message_of("2.1.1.1."), HasSubstr("LIV 1, character 9: an integer is missing"));
  EXPECT_THAT(message_of("21211-2.1.40000.1.1"), HasSubstr("LIV 2, character 11: the integer exceeds 32767"));
  EXPECT_THAT(message_of("21211-2.1.99999999999999999999.1.1"), HasSubstr("LIV 2, character 11: the integer exceeds 32767"));
  EXPECT_THAT(message_of("21211--21211"), HasSubstr("LIV 2, character 7: there is no LIV here"));
  EXPECT_THAT(message_of("21211-"), HasSubstr("LIV 2, character 7: there is no LIV here"));
  EXPECT_THAT(message_of(""), HasSubstr("LIV 1, character 1: there is no LIV here"));
  EXPECT_THAT(message_of("21211\n"), HasSubstr("LIV 1, character 6: byte 0x0a found"));
  EXPECT_THAT(message_of("\xff"), HasSubstr("LIV 1, character 1: byte 0xff found"));
}

TEST(GenomeText, AnyBytesAreReadOrRefused) {
  Stream stream(2, Purpose::test);
  const std::string alphabet = "0123456789.-112:::";
  for (int i = 0; i < 20000; ++i) {
    std::string text(stream.below(24), ' ');
    const bool wild = stream.chance(0.2);
    for (auto& c : text) c = wild ? static_cast<char>(stream.below(256)) : alphabet[stream.below(alphabet.size())];
    try {
      const auto genome = parse_genome(text);
      EXPECT_EQ(parse_genome(to_text(genome)), genome) << text;
    } catch (const UserError&) {
    }
  }
}

TEST(Genes, MustComeInFivesOrSevens) {
  EXPECT_THROW(from_genes({1, 1, 1, 1, 1, 2}), UserError);
  EXPECT_THROW(from_genes({1, 1, 1, 1, 1, 2}, 7), UserError);
}

TEST(Genes, ThatAreNeededAreSevenAsSoonAsOneLivHasAPathOrARoute) {
  EXPECT_EQ(genes_needed(parse_genome("11111-81111")), 5u);
  EXPECT_EQ(genes_needed(parse_genome("11111-8111101")), 7u);
  EXPECT_EQ(genes_needed(parse_genome("1111120-81111")), 7u);
}

TEST(WithoutEmpty, KeepsTheOthersInOrder) {
  EXPECT_EQ(to_text(without_empty(parse_genome("01111-11111-02111-8111101-01111"))), "11111-8111101");
}

TEST(GroupLimit, IsHalfTheDepthButAtLeastTwo) {
  EXPECT_EQ(group_limit(1), 2);
  EXPECT_EQ(group_limit(5), 2);
  EXPECT_EQ(group_limit(6), 3);
  EXPECT_EQ(group_limit(48), 24);
}

}  // namespace
}  // namespace starling::genome
