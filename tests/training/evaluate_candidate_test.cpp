#include <starling/training/evaluate_candidate.hpp>

#include <gtest/gtest.h>

#include <cmath>

#include <starling/base/error.hpp>
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

TEST(EvaluateCandidate, RefusesADeviceThatIsNotThereAndAPrecisionThatTheCpuHasNot) {
  const auto run = [](const CandidateOptions& options) {
    evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), options, 1, never);
  };
  CandidateOptions options = quick();
  options.device = "cuda:99";
  EXPECT_THROW(run(options), UserError);
  options = quick();
  options.precision = Precision::tf32;
  EXPECT_THROW(run(options), UserError);
}

TEST(MicroBatchTokens, AreHalvedUntilTheyFitAndAreWholeSequences) {
  const auto account = genome::account(genome::Catalogue::liquid(), baseline(), tiny);
  CandidateOptions options = quick();
  options.training.batch_tokens = 10 * 16;
  // Of a vocabulary as small as this all logits exist at once.
  const auto per_sequence = [&] {
    return 16 * (account.activation_bytes(tiny.width, 4, options.training.recompute).per_token + 4 * tiny.vocabulary);
  };
  const std::int64_t weights = 12 * account.parameters.total() + 8 * account.parameters.embedding;
  const auto fixed = account.activation_bytes(tiny.width, 4, false).fixed;
  const auto sequences = [&](std::int64_t activations) {
    return static_cast<double>(micro_batch_tokens(account, tiny.width, options, 16, weights + fixed + activations)) / 16;
  };
  EXPECT_EQ(sequences(10 * per_sequence()), 10);
  EXPECT_EQ(sequences(10 * per_sequence() - 1), 5);
  EXPECT_EQ(sequences(5 * per_sequence() - 1), 3);
  EXPECT_EQ(sequences(3 * per_sequence() - 1), 2);
  EXPECT_EQ(sequences(2 * per_sequence() - 1), 1);
  EXPECT_EQ(sequences(0), 1) << "and then training says that it does not fit";
  const auto kept = per_sequence();
  options.precision = Precision::bf16;
  EXPECT_EQ(sequences(9 * kept), 10);
  options.precision = Precision::f32;
  options.training.recompute = true;
  EXPECT_LT(per_sequence(), kept);
}

TEST(MicroBatchTokens, LeaveRoomForTheLogitsOfALargeVocabulary) {
  genome::Dimensions dimensions = tiny;
  dimensions.vocabulary = 65'536;
  const auto account = genome::account(genome::Catalogue::liquid(), baseline(), dimensions);
  CandidateOptions options = quick();
  options.training.batch_tokens = 64 * 16;
  const auto activations = account.activation_bytes(tiny.width, 4, false);
  const std::int64_t least = 12 * account.parameters.total() + 8 * account.parameters.embedding + activations.fixed;
  const auto sequences = [&](std::int64_t bytes) { return micro_batch_tokens(account, tiny.width, options, 16, least + bytes) / 16; };
  const auto needed = [&](std::int64_t count, std::int64_t rows) { return 16 * count * activations.per_token + 4 * 65'536 * rows; };
  EXPECT_EQ(sequences(needed(64, 128)), 64) << "of 128 tokens at once, on the CPU";
  EXPECT_EQ(sequences(needed(64, 128) - 1), 32);
  EXPECT_EQ(sequences(needed(4, 64)), 4) << "of all that there are";
  EXPECT_EQ(sequences(needed(4, 64) - 1), 2);
  options.device = "cuda:0";
  EXPECT_EQ(sequences(needed(64, 1024)), 64);
  EXPECT_EQ(sequences(needed(64, 1024) - 1), 32);
}

TEST(EvaluateCandidate, TrainsInTheMicroBatchesThatItsMemoryAllows) {
  const auto tokens = [](const CandidateOptions& options) {
    return evaluate_candidate(genome::Catalogue::liquid(), baseline(), tiny, ToyTask(), options, 1, never).training.micro_batch_tokens;
  };
  CandidateOptions options = quick();
  EXPECT_EQ(tokens(options), 128) << "a small batch fits on any machine";
  options.memory_bytes = 0;
  EXPECT_EQ(tokens(options), 16);
  options.training.micro_batch_tokens = 64;
  EXPECT_EQ(tokens(options), 64) << "what is asked for stays";
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
