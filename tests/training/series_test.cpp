#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <atomic>
#include <cmath>

#include <starling/base/random.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/tasks/series.hpp>
#include <starling/training/trainer.hpp>

#include "support/temporary_folder.hpp"

namespace starling::training {
namespace {

class Series : public ::testing::Test {
 protected:
  Series() {
    Stream stream(1, Purpose::test);
    std::string text = "x,y\n";
    for (int t = 0; t < 800; ++t) {
      if (!stream.chance(0.05)) text += std::to_string(5 + std::sin(t / 3.0) + 0.05 * stream.normal());
      text += ',';
      text += std::to_string(std::cos(t / 7.0));
      text += '\n';
    }
    const auto file = folder_.write("waves.csv", text);
    task_ = tasks::make_series({.files = {file.string()}, .sequence_length = 16});
  }

  TemporaryFolder folder_;
  std::unique_ptr<const tasks::Task> task_;
  const genome::Catalogue& catalogue_ = genome::Catalogue::liquid();
  model::Model model_{catalogue_, genome::baseline(catalogue_, "striped-mamba", 4), {.width = 16, .length = 16, .channels = 2}, 3};
  const std::atomic<bool> stop_ = false;
};

TEST_F(Series, AreEvaluatedByTheMeanOfTheSquaredErrorsOfEveryValueThatIsThere) {
  for (const auto split : {tasks::Split::validation, tasks::Split::test}) {
    const c10::NoGradGuard no_gradient;
    double sum = 0;
    std::int64_t counted = 0;
    for (std::int64_t i = 0; i < task_->held_out_batches(split, 1); ++i) {
      const auto batch = task_->held_out_batch(split, i, 1);
      const auto errors = (model_.logits(batch.inputs) - batch.targets).flatten();
      for (std::int64_t k = 0; k < errors.numel(); ++k) {
        const double error = errors[k].item<double>();
        if (std::isnan(error)) continue;
        sum += error * error;
        ++counted;
      }
    }
    const auto quality = evaluate(model_, *task_, split, stop_);
    EXPECT_EQ(quality.tokens, counted);
    EXPECT_GT(counted, 79 + 60);
    EXPECT_LT(counted, 2 * 79);
    EXPECT_NEAR(quality.loss, sum / static_cast<double>(counted), 1e-6);
    EXPECT_TRUE(std::isnan(quality.bits_per_byte));
    EXPECT_TRUE(std::isnan(quality.accuracy));
  }
}

TEST_F(Series, AreLearnedBetterThanTheLastValue) {
  const auto result = train(model_, *task_, {.tokens = 20'000, .batch_tokens = 128, .learning_rate = 4e-3}, 1, stop_);
  EXPECT_EQ(result.end, End::completed);
  const double last_value = task_->references().at(1).loss;
  EXPECT_NEAR(result.curve.front().train_loss, last_value, 0.5 * last_value) << "where they start";
  EXPECT_LT(evaluate(model_, *task_, tasks::Split::validation, stop_).loss, 0.5 * last_value);
}

}  // namespace
}  // namespace starling::training
