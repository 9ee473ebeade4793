#include <starling/tasks/token_references.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include <starling/base/random.hpp>

namespace starling::tasks {
namespace {

TEST(TokenReferences, AreProbabilities) {
  const TokenStream stream(std::vector<std::uint16_t>{3, 0, 1, 0, 1, 2, 0, 1, 3, 3});
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
  const TokenStream stream(std::vector<std::uint16_t>{2, 0, 1, 0, 1, 1});  // transitions 2→0, 0→1, 1→0, 0→1, 1→1
  const TokenReferences models(stream, 3);
  const double a = TokenReferences::unigram_smoothing;
  const double k = TokenReferences::bigram_smoothing;
  const double unigram_of_1 = (3 + a) / (5 + 3 * a);
  EXPECT_DOUBLE_EQ(models.unigram(1), -std::log(unigram_of_1));
  EXPECT_DOUBLE_EQ(models.bigram(0, 1), -std::log((2 + k * unigram_of_1) / (2 + k)));
}

TEST(TokenReferences, OfALargeVocabularyAreThoseOfASmallOne) {
  Stream random(1, Purpose::test);
  std::vector<std::uint16_t> tokens;
  for (int i = 0; i < 2000; ++i) tokens.push_back(static_cast<std::uint16_t>(random.below(20) * random.below(20)));
  const TokenStream stream(tokens);
  const TokenReferences dense(stream, TokenReferences::dense_vocabulary);
  const TokenReferences sparse(stream, TokenReferences::dense_vocabulary + 1);
  // One token more has its pseudo-count in the unigram, and nothing else differs.
  const double total = 1999 + TokenReferences::unigram_smoothing * static_cast<double>(TokenReferences::dense_vocabulary);
  const double grown = total + TokenReferences::unigram_smoothing;
  std::map<std::uint16_t, double> seen;
  std::map<std::pair<std::uint16_t, std::uint16_t>, double> pairs;
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    ++seen[tokens[i - 1]];
    ++pairs[{tokens[i - 1], tokens[i]}];
  }
  for (std::uint16_t previous = 0; previous < 400; ++previous) {
    for (std::uint16_t token = 0; token < 400; ++token) {
      EXPECT_NEAR(sparse.unigram(token), dense.unigram(token) + std::log(grown / total), 1e-12);
      const double k = TokenReferences::bigram_smoothing;
      const double observed = pairs.contains({previous, token}) ? pairs[{previous, token}] : 0;
      const double row = seen.contains(previous) ? seen[previous] : 0;
      EXPECT_NEAR(sparse.bigram(previous, token), -std::log((observed + k * std::exp(-sparse.unigram(token))) / (row + k)), 1e-12);
      EXPECT_NEAR(dense.bigram(previous, token), -std::log((observed + k * std::exp(-dense.unigram(token))) / (row + k)), 1e-12);
    }
  }
}

TEST(TokenReferences, OfALongStreamAreCountedInStretchesOverAllOfIt) {
  // The first half says 1, the second 2: a part of either must be counted.
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(3 * TokenReferences::most_sparse_tokens), 1);
  std::fill(tokens.begin() + std::ssize(tokens) / 2, tokens.end(), std::uint16_t{2});
  const TokenReferences models(TokenStream(std::move(tokens)), 2000);
  EXPECT_NEAR(std::exp(-models.unigram(1)), 0.5, 0.01);
  EXPECT_NEAR(std::exp(-models.unigram(2)), 0.5, 0.01);
}

TEST(TokenReferences, ARowThatWasNeverSeenIsTheUnigram) {
  const TokenStream stream(std::vector<std::uint16_t>{0, 1, 0, 1, 1});
  const TokenReferences models(stream, 3);
  for (std::uint16_t token = 0; token < 3; ++token) EXPECT_DOUBLE_EQ(models.bigram(2, token), models.unigram(token));
}

}  // namespace
}  // namespace starling::tasks
