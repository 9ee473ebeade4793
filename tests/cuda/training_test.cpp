// A training on a device beside the same on the CPU, and what it does where the device fails.
#include <starling/training/trainer.hpp>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>

#include <starling/genome/baselines.hpp>
#include <starling/training/device.hpp>
#include <starling/training/evaluate_candidate.hpp>

#include "device.hpp"
#include "toy_task.hpp"

namespace starling::training {
namespace {

const std::atomic<bool> never{false};
const genome::Dimensions tiny{.width = 64, .length = 64, .vocabulary = 11};
const ToyTask::Settings settings{.accuracy = true, .held_out = 150, .length = 64, .masked = true};

Options quick() { return {.tokens = 60 * 16 * 64, .batch_tokens = 16 * 64, .learning_rate = 5e-3}; }

model::Model make_model(std::string_view genome, at::ScalarType type, const at::Device& device) {
  const auto& catalogue = genome::Catalogue::liquid();
  return {catalogue, genome::genome_or_baseline(catalogue, genome, 4), tiny, 1, model::Model::Initialization::glorot, type, device};
}

TEST(TrainingOnADevice, FollowsTheCurveOfTheCpu) {
  const ToyTask task(settings);
  for (const char* genome : {"transformer++", "striped-mamba", "striped-hyena"}) {
    for (const auto& [type, tolerance] : {std::pair{at::kFloat, 0.02}, {at::kBFloat16, 0.1}}) {
      std::vector<Result> results;
      std::vector<Quality> qualities;
      for (const auto& device : {device_under_test(), at::Device(at::kCPU)}) {
        model::Model model = make_model(genome, type, device);
        std::int64_t told = 0;
        results.push_back(train(model, task, quick(), 1, never, [&](const Point& point, std::int64_t steps) {
          EXPECT_EQ(point.step, ++told);
          EXPECT_EQ(steps, 60);
        }));
        EXPECT_EQ(results.back().end, End::completed) << results.back().reason;
        EXPECT_EQ(told, 60);
        qualities.push_back(evaluate(model, task, tasks::Split::validation, never));
        for (const auto& parameter : model.parameters()) {
          EXPECT_TRUE(!parameter.copy.defined() || parameter.copy.equal(parameter.value.to(at::kBFloat16))) << parameter.name;
        }
      }
      ASSERT_EQ(results[0].curve.size(), results[1].curve.size());
      for (std::size_t i = 0; i < results[0].curve.size(); ++i) {
        const auto &found = results[0].curve[i], &expected = results[1].curve[i];
        EXPECT_NEAR(found.train_loss, expected.train_loss, tolerance * expected.train_loss + 0.01) << genome << " step " << i;
        EXPECT_EQ(found.tokens, expected.tokens);
        EXPECT_EQ(found.learning_rate, expected.learning_rate);
      }
      EXPECT_NEAR(results[0].curve[0].grad_norm / results[1].curve[0].grad_norm, 1, type == at::kFloat ? 1e-3 : 0.02) << genome;
      EXPECT_EQ(qualities[0].tokens, qualities[1].tokens);
      EXPECT_NEAR(qualities[0].loss, qualities[1].loss, tolerance * qualities[1].loss + 0.01) << genome;
      EXPECT_NEAR(qualities[0].accuracy, qualities[1].accuracy, 0.05) << genome;
    }
  }
}

TEST(TrainingOnADevice, ClipsDropsAndDividesBatchesAsOnTheCpu) {
  const ToyTask task(settings);
  Options options = quick();
  options.tokens = 10 * 16 * 64;
  options.gradient_clip = 0.01;
  options.dropout = 0.1;
  options.recompute = true;
  std::vector<Result> results;
  for (const auto& [device, micro_batch] : {std::pair{device_under_test(), 16}, {device_under_test(), 5}, {at::Device(at::kCPU), 16}}) {
    model::Model model = make_model("striped-mamba", at::kFloat, device);
    options.micro_batch_tokens = micro_batch * 64;
    results.push_back(train(model, task, options, 1, never));
    EXPECT_EQ(results.back().micro_batch_tokens, micro_batch * 64);
  }
  for (const std::size_t run : {0, 1}) {
    for (std::size_t i = 0; i < 10; ++i)
      EXPECT_NEAR(results[run].curve[i].train_loss, results[2].curve[i].train_loss, 0.01) << run << " " << i;
  }
}

TEST(TrainingOnADevice, GivesUpWhereItDivergesAndSaysAtWhichStep) {
  model::Model model = make_model("transformer++", at::kFloat, device_under_test());
  Options options = quick();
  options.learning_rate = 1e4;
  options.gradient_clip = 0;
  const Result result = train(model, ToyTask(settings), options, 1, never);
  EXPECT_EQ(result.end, End::diverged);
  EXPECT_LT(result.steps, 60);
  EXPECT_EQ(result.curve.back().step, result.steps);
  EXPECT_THAT(result.reason, testing::HasSubstr("step " + std::to_string(result.steps)));
}

TEST(TrainingOnADevice, StopsBetweenSteps) {
  model::Model model = make_model("transformer++", at::kFloat, device_under_test());
  std::atomic<bool> stop{false};
  const Result result =
      train(model, ToyTask(settings), quick(), 1, stop, [&](const Point& point, std::int64_t) { stop = point.step == 3; });
  EXPECT_EQ(result.end, End::stopped);
  EXPECT_EQ(result.steps, 3);
}

TEST(CandidateOnADevice, HandsOverWhatTheCpuDoes) {
  CandidateOptions options{.training = quick()};
  const auto genome = genome::baseline(genome::Catalogue::liquid(), "striped-mamba", 4);
  std::vector<CandidateResult> results;
  for (const auto& device : {device_under_test().str(), std::string("cpu")}) {
    options.device = device;
    std::int64_t elements = 0;
    const auto keep = [&](std::span<const Weight> weights) {
      for (const Weight& weight : weights) {
        std::int64_t size = 1;
        for (const std::int64_t extent : weight.shape) size *= extent;
        for (std::int64_t i = 0; i < size; ++i) ASSERT_TRUE(std::isfinite(weight.data[i])) << weight.name;
        elements += size;
      }
    };
    results.push_back(evaluate_candidate(genome::Catalogue::liquid(), genome, tiny, ToyTask(settings), options, 1, never, {}, keep));
    EXPECT_EQ(results.back().training.end, End::completed) << results.back().training.reason;
    EXPECT_EQ(elements, results.back().account.parameters.total());
    EXPECT_GT(results.back().peak_memory_bytes, 4u * static_cast<std::uint64_t>(elements));
  }
  EXPECT_NEAR(results[0].validation.loss, results[1].validation.loss, 0.05);
  EXPECT_GT(free_memory_bytes(device_under_test()).value_or(0), 0);
}

TEST(CandidateOnADevice, TrainsInSmallerPiecesWhereItHasLessMemory) {
  CandidateOptions options{.training = quick()};
  options.training.tokens = options.training.batch_tokens;
  options.device = device_under_test().str();
  options.memory_bytes = 0;
  const auto genome = genome::baseline(genome::Catalogue::liquid(), "transformer++", 4);
  const auto result = evaluate_candidate(genome::Catalogue::liquid(), genome, tiny, ToyTask(settings), options, 1, never);
  EXPECT_EQ(result.training.micro_batch_tokens, 64);
}

TEST(MemoryOfADevice, IsAskedForInHalvesWhereItRunsOut) {
  const auto device = device_under_test();
  if (device.is_cpu()) GTEST_SKIP() << "the CPU has no memory of its own to fill";
  // A step's activations take about 5 GiB, and 1.5 are left.
  const std::int64_t left = std::int64_t{3} << 29;
  const auto taken = at::empty({free_memory_bytes(device).value() - left}, at::TensorOptions().device(device).dtype(at::kByte));
  const Options options{.tokens = std::int64_t{64} << 13, .batch_tokens = std::int64_t{64} << 13, .learning_rate = 1e-3};
  const ToyTask task({.length = 64});
  model::Model model = make_model("striped-mamba", at::kFloat, device);
  const Result result = train(model, task, options, 1, never);
  EXPECT_EQ(result.end, End::completed) << result.reason;
  EXPECT_EQ(result.steps, 1);
  EXPECT_LT(result.micro_batch_tokens, options.batch_tokens);
}

TEST(DeviceDeathTest, StillWorksUntilAnErrorThatItDoesNotRecoverFrom) {
  if (device_under_test().is_cpu()) GTEST_SKIP() << "the CPU has no error that it does not recover from";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_TRUE(still_works(device_under_test()));
  EXPECT_EXIT(
      {
        try {
          const auto rows = at::zeros({4, 4}, device_under_test());
          at::embedding(rows, at::full({1}, 1'000'000'000, rows.options().dtype(at::kLong))).cpu();
        } catch (const std::exception&) {
        }
        std::_Exit(still_works(device_under_test()) ? 0 : 3);
      },
      testing::ExitedWithCode(3), "");
}

/// From step 3 on its device is lost.
class LethalTask : public ToyTask {
 public:
  LethalTask() : ToyTask(settings) {}
  tasks::Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    if (step == 3) lose(device_under_test());
    return ToyTask::training_batch(seed, step, sequences);
  }
  static void lose(const at::Device& device) {
    const auto rows = at::zeros({4, 4}, device);
    at::embedding(rows, at::full({1}, 1'000'000'000, rows.options().dtype(at::kLong)));
  }
};

TEST(DeviceDeathTest, ATrainingThatLosesItsDeviceIsAnExceptionAndNoCrash) {
  if (device_under_test().is_cpu()) GTEST_SKIP() << "the CPU is not lost";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        try {
          model::Model model = make_model("striped-mamba", at::kFloat, device_under_test());
          train(model, LethalTask(), quick(), 1, never);
          std::_Exit(4);
        } catch (const std::exception&) {
        }
        std::_Exit(still_works(device_under_test()) ? 0 : 3);
      },
      testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace starling::training
