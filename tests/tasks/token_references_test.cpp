#include <starling/tasks/token_references.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace starling::tasks {
namespace {

TEST(TokenReferences, AreProbabilities) {
  const std::vector<std::uint16_t> stream{3, 0, 1, 0, 1, 2, 0, 1, 3, 3};
  const TokenReferences models(stream, 5);
  double sum = 0;
  for (std::uint16_t token = 0; token < 5; ++token) sum += std::exp(-models.unigram(token));
  EXPECT_NEAR(sum, 1, 1e-12);
  for (std::uint16_t previous = 0; previous < 5; ++previous) {
    sum = 0;
    for (std::uint16_t token = 0; token < 5; ++token) sum += std::exp(-models.bigram(previous, token));
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(TokenReferences, CountWhatTheFormulaSays) {
  const std::vector<std::uint16_t> stream{2, 0, 1, 0, 1, 1};  // transitions 2→0, 0→1, 1→0, 0→1, 1→1
  const TokenReferences models(stream, 3);
  const double a = TokenReferences::unigram_smoothing;
  const double k = TokenReferences::bigram_smoothing;
  const double unigram_of_1 = (3 + a) / (5 + 3 * a);
  EXPECT_DOUBLE_EQ(models.unigram(1), -std::log(unigram_of_1));
  EXPECT_DOUBLE_EQ(models.bigram(0, 1), -std::log((2 + k * unigram_of_1) / (2 + k)));
}

TEST(TokenReferences, ARowThatWasNeverSeenIsTheUnigram) {
  const std::vector<std::uint16_t> stream{0, 1, 0, 1, 1};
  const TokenReferences models(stream, 3);
  for (std::uint16_t token = 0; token < 3; ++token) EXPECT_DOUBLE_EQ(models.bigram(2, token), models.unigram(token));
}

}  // namespace
}  // namespace starling::tasks
