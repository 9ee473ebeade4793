#include <starling/model/sampling.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include <starling/base/error.hpp>

namespace starling::model {
namespace {

constexpr std::array<float, 5> logits{0.5f, 2.0f, -1.0f, 2.0f, 1.0f};

std::map<std::int64_t, double> frequencies(const Sampling& sampling) {
  constexpr int draws = 40'000;
  std::map<std::int64_t, double> found;
  Stream stream(3, Purpose::test);
  for (int i = 0; i < draws; ++i) found[sample_token(logits, sampling, stream)] += 1.0 / draws;
  return found;
}

std::map<std::int64_t, double> softmax(double temperature, const std::vector<std::int64_t>& tokens) {
  std::map<std::int64_t, double> expected;
  double sum = 0;
  for (const auto token : tokens) sum += expected[token] = std::exp(logits.at(static_cast<std::size_t>(token)) / temperature);
  for (auto& [token, probability] : expected) probability /= sum;
  return expected;
}

void expect_near(const std::map<std::int64_t, double>& found, const std::map<std::int64_t, double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  // Five standard deviations of a frequency are at most 0.0125.
  for (const auto& [token, probability] : expected) EXPECT_NEAR(found.at(token), probability, 0.0125) << "token " << token;
}

TEST(Sampling, FollowsTheSoftmaxAtItsTemperature) {
  expect_near(frequencies({}), softmax(1, {0, 1, 2, 3, 4}));
  expect_near(frequencies({.temperature = 0.4}), softmax(0.4, {0, 1, 2, 3, 4}));
}

TEST(Sampling, AtTemperatureZeroTakesTheLowestOfTheMostLikely) {
  Stream stream(1, Purpose::test);
  EXPECT_EQ(sample_token(logits, {.temperature = 0}, stream), 1);
}

TEST(Sampling, TopKKeepsTheMostLikely) {
  expect_near(frequencies({.top_k = 3}), softmax(1, {1, 3, 4}));
  expect_near(frequencies({.top_k = 1}), {{1, 1.0}});
  expect_near(frequencies({.top_k = 99}), softmax(1, {0, 1, 2, 3, 4}));
}

TEST(Sampling, TopPKeepsTheFewestTokensThatHaveTheProbability) {
  const auto all = softmax(1, {0, 1, 2, 3, 4});
  expect_near(frequencies({.top_p = all.at(1) + all.at(3) - 0.01}), softmax(1, {1, 3}));
  expect_near(frequencies({.top_p = all.at(1) + all.at(3) + 0.01}), softmax(1, {1, 3, 4}));
  expect_near(frequencies({.top_p = 1e-9}), {{1, 1.0}});
}

TEST(Sampling, RefusesLogitsThatAreNotFinite) {
  Stream stream(1, Purpose::test);
  EXPECT_THROW(sample_token(std::array{0.0f, std::numeric_limits<float>::quiet_NaN()}, {}, stream), Failure);
}

}  // namespace
}  // namespace starling::model
