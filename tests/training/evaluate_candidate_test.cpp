#include <starling/training/evaluate_candidate.hpp>

#include <gtest/gtest.h>

#include <cmath>

#include <starling/genome/baselines.hpp>

#include "toy_task.hpp"

namespace starling::training {
namespace {

const std::atomic<bool> never{false};
const genome::Dimensions tiny{.width = 16, .length = 16, .vocabulary = 11};

CandidateOptions quick() { return {.training = {.tokens = 40 * 128, .batch_tokens = 128, .learning_rate = 1e-2}}; }

genome::Genome baseline() { return genome::baseline(genome::Catalogue::liquid(), "striped-mamba", 2); }

TEST(EvaluateCandidate, HandsOverQualityAccountAndWeights) {
  std::int64_t elements = 0;
  const auto keep = [&](std::span<const Weight> weights) {
    for (const Weight& weight : weights) {
      std::int64_t size = 1;
      for (const std::int64_t extent : weight.shape) size *= extent;
      for (std::int64_t i = 0; i < size; ++i) ASSERT_TRUE(std::isfinite(weight.data[i])) << weight.name;
      elements += size;
    }
  };
  const CandidateResult result = evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), quick(), 1, never, {}, keep);
  EXPECT_EQ(result.training.end, End::completed) << result.training.reason;
  EXPECT_LT(result.validation.loss, std::log(11));
  EXPECT_EQ(elements, result.account.parameters.total());
  EXPECT_GT(result.account.cache.elements(16), 0);
  EXPECT_GT(result.training_s, 0);
  EXPECT_GT(result.evaluation_s, 0);
  EXPECT_GT(result.peak_memory_bytes, 0u);
}

TEST(EvaluateCandidate, DependsOnTheSeed) {
  const auto loss = [](std::uint64_t seed) {
    return evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), quick(), seed, never).validation.loss;
  };
  EXPECT_EQ(loss(1), loss(1));
  EXPECT_NE(loss(1), loss(2));
}

TEST(EvaluateCandidate, TrainsInThePrecisionAskedFor) {
  const auto loss = [](Precision precision) {
    CandidateOptions options = quick();
    options.precision = precision;
    return evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), options, 1, never).validation.loss;
  };
  EXPECT_NE(loss(Precision::bf16), loss(Precision::f32));
  EXPECT_NEAR(loss(Precision::bf16), loss(Precision::f32), 0.05);
}

TEST(EvaluateCandidate, KeepsNothingOfWhatDivergedOrWasStopped) {
  const auto refuse = [](std::span<const Weight>) { FAIL(); };
  CandidateOptions wild = quick();
  wild.training.learning_rate = 1e4;
  wild.training.gradient_clip = 0;
  const CandidateResult diverged = evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), wild, 1, never, {}, refuse);
  EXPECT_EQ(diverged.training.end, End::diverged);
  EXPECT_FALSE(diverged.training.reason.empty());
  EXPECT_TRUE(std::isnan(diverged.validation.loss));

  const std::atomic<bool> stop{true};
  const CandidateResult stopped =
      evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), quick(), 1, stop, {}, refuse);
  EXPECT_EQ(stopped.training.end, End::stopped);
  EXPECT_EQ(stopped.training.steps, 0);
}

}  // namespace
}  // namespace starling::training
