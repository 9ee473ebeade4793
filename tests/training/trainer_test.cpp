#include <starling/training/trainer.hpp>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <numbers>
#include <set>

#include <starling/base/error.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/tasks/mad.hpp>

#include "toy_task.hpp"

namespace starling::training {
namespace {

using ::testing::HasSubstr;

const std::atomic<bool> never{false};

model::Model make_model(std::string_view genome = "transformer++", std::uint64_t seed = 1, at::ScalarType type = at::kFloat) {
  const auto& catalogue = genome::Catalogue::liquid();
  return {catalogue,
          genome::genome_or_baseline(catalogue, genome, 2),
          {.width = 16, .length = 16, .vocabulary = 11},
          seed,
          model::Model::Initialization::glorot,
          type};
}

Options quick() { return {.tokens = 80 * 128, .batch_tokens = 128, .learning_rate = 1e-2}; }

TEST(Extent, IsWholeStepsOfWholeSequences) {
  EXPECT_EQ(extent({.tokens = 1000, .batch_tokens = 128}, 16).sequences, 8);
  EXPECT_EQ(extent({.tokens = 1000, .batch_tokens = 128}, 16).steps, 8);
  EXPECT_EQ(extent({.tokens = 1024, .batch_tokens = 128}, 16).steps, 8);
  EXPECT_EQ(extent({.tokens = 1025, .batch_tokens = 128}, 16).steps, 9);
  EXPECT_EQ(extent({.tokens = 1000, .batch_tokens = 1024}, 127).sequences, 8);
  EXPECT_THROW(extent({.tokens = 1000, .batch_tokens = 100}, 128), UserError);
}

TEST(MicroBatch, IsWholeSequencesOfABatch) {
  EXPECT_EQ(micro_batch({.tokens = 1000, .batch_tokens = 128}, 16), 8);
  EXPECT_EQ(micro_batch({.tokens = 1000, .batch_tokens = 128, .micro_batch_tokens = 63}, 16), 3);
  EXPECT_EQ(micro_batch({.tokens = 1000, .batch_tokens = 128, .micro_batch_tokens = 4096}, 16), 8);
  EXPECT_THROW(micro_batch({.tokens = 1000, .batch_tokens = 128, .micro_batch_tokens = 15}, 16), UserError);
}

TEST(Train, LearnsWhatCanBeLearned) {
  for (const char* genome : {"transformer++", "striped-mamba"}) {
    model::Model model = make_model(genome);
    const ToyTask task;
    const double before = evaluate(model, task, tasks::Split::validation, never).loss;
    std::int64_t calls = 0;
    const Result result = train(model, task, quick(), 1, never, [&](const Point& point, std::int64_t steps) {
      EXPECT_EQ(point.step, ++calls);
      EXPECT_EQ(steps, 80);
    });
    EXPECT_EQ(result.end, End::completed) << result.reason;
    EXPECT_EQ(result.steps, 80);
    EXPECT_EQ(calls, 80);
    EXPECT_EQ(result.tokens, 80 * 128);
    ASSERT_EQ(result.curve.size(), 80u);
    EXPECT_EQ(result.curve.back().tokens, result.tokens);
    EXPECT_NEAR(before, std::log(11), 0.7);
    EXPECT_LT(evaluate(model, task, tasks::Split::validation, never).loss, 1.0);
    EXPECT_LT(result.curve.back().train_loss, 1.0);
  }
}

TEST(Train, IsAFunctionOfItsArgumentsBitByBit) {
  const ToyTask task;
  const auto equal = [](const Result& a, const Result& b) {
    for (std::size_t i = 0; i < a.curve.size(); ++i) {
      if (std::bit_cast<std::uint64_t>(a.curve[i].train_loss) != std::bit_cast<std::uint64_t>(b.curve[i].train_loss)) return false;
      if (std::bit_cast<std::uint64_t>(a.curve[i].grad_norm) != std::bit_cast<std::uint64_t>(b.curve[i].grad_norm)) return false;
    }
    return a.curve.size() == b.curve.size();
  };
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    std::vector<Result> results;
    for (const std::uint64_t seed : {5, 5, 6}) {
      model::Model model = make_model("striped-mamba", 1, type);
      results.push_back(train(model, task, quick(), seed, never));
    }
    EXPECT_TRUE(equal(results[0], results[1]));
    EXPECT_FALSE(equal(results[0], results[2]));
  }
}

TEST(Train, InBfloat16FollowsTheCurveOfFloat) {
  const ToyTask task;
  for (const char* genome : {"transformer++", "striped-mamba", "striped-hyena"}) {
    std::vector<Result> results;
    std::vector<double> quality;
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      model::Model model = make_model(genome, 1, type);
      results.push_back(train(model, task, quick(), 1, never));
      quality.push_back(evaluate(model, task, tasks::Split::validation, never).loss);
      EXPECT_EQ(results.back().end, End::completed) << results.back().reason;
      for (const auto& parameter : model.parameters()) {
        EXPECT_TRUE(!parameter.copy.defined() || parameter.copy.equal(parameter.value.to(at::kBFloat16))) << parameter.name;
      }
    }
    bool rounded = false;
    for (std::size_t i = 0; i < results[0].curve.size(); ++i) {
      const double loss = results[0].curve[i].train_loss;
      EXPECT_NEAR(results[1].curve[i].train_loss, loss, 0.03 * loss + 0.01) << genome << " step " << i;
      rounded |= results[1].curve[i].train_loss != loss;
    }
    EXPECT_TRUE(rounded);
    EXPECT_NEAR(quality[1], quality[0], 0.03 * quality[0] + 0.01) << genome;
  }
}

TEST(Train, EveryClassTrainsInBfloat16) {
  const auto& catalogue = genome::Catalogue::liquid();
  for (const auto& liv_class : catalogue.classes()) {
    const auto of_class = std::to_string(liv_class.id) + ".1.1.1.1";
    model::Model model = make_model(of_class + "-9.1.1.1.1-" + of_class, 1, at::kBFloat16);
    const ToyTask task;
    const double before = evaluate(model, task, tasks::Split::validation, never).loss;
    const Result result = train(model, task, quick(), 1, never);
    EXPECT_EQ(result.end, End::completed) << liv_class.name << ": " << result.reason;
    EXPECT_LT(evaluate(model, task, tasks::Split::validation, never).loss, before - 0.5) << liv_class.name;
  }
}

TEST(Train, FollowsTheScheduleAskedFor) {
  for (const auto& [descent, last] : {std::pair{Descent::linear, 3e-3}, {Descent::cosine, 3e-3}, {Descent::constant, 1e-2}}) {
    model::Model model = make_model();
    Options options = quick();
    options.schedule = descent;
    options.final_learning_rate = 0.3;
    const auto curve = train(model, ToyTask(), options, 1, never).curve;
    EXPECT_DOUBLE_EQ(curve[0].learning_rate, 1e-2 / 8);
    EXPECT_DOUBLE_EQ(curve.back().learning_rate, last);
    if (descent == Descent::linear) {
      EXPECT_DOUBLE_EQ(curve[25].learning_rate, 1e-2 - 7e-3 / 4);
    }
  }
}

TEST(Train, DropsTheSameWhateverTheMicroBatchesAndEvaluatesWithoutDropping) {
  const ToyTask task({.masked = true});
  for (const char* genome : {"transformer++", "striped-mamba"}) {
    std::vector<Result> results;
    std::vector<double> quality;
    for (const std::int64_t micro_batch : {8, 8, 3, 1}) {
      model::Model model = make_model(genome);
      Options options = quick();
      options.tokens = 20 * 128;
      options.learning_rate = 1e-3;
      options.dropout = 0.2;
      options.micro_batch_tokens = micro_batch * 16;
      results.push_back(train(model, task, options, 1, never));
      quality.push_back(evaluate(model, task, tasks::Split::validation, never).loss);
      EXPECT_EQ(quality.back(), evaluate(model, task, tasks::Split::validation, never).loss);
      for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_NEAR(results.back().curve[i].train_loss, results[0].curve[i].train_loss, micro_batch == 8 ? 0 : 1e-3) << genome << " " << i;
      }
      EXPECT_NEAR(results.back().curve[0].grad_norm / results[0].curve[0].grad_norm, 1, 1e-5) << genome;
    }
    EXPECT_EQ(quality[0], quality[1]);
    model::Model model = make_model(genome);
    Options options = quick();
    options.tokens = 20 * 128;
    options.learning_rate = 1e-3;
    const auto without = train(model, task, options, 1, never);
    EXPECT_GT(std::abs(without.curve[0].train_loss - results[0].curve[0].train_loss), 1e-3);
  }
}

TEST(Train, DropsAnewInEveryStepAndWithEverySeed) {
  // Learning rate next to 0 and one batch for all steps: what differs is what is dropped.
  class OneBatch final : public ToyTask {
    tasks::Batch training_batch(std::uint64_t, std::int64_t, std::int64_t sequences) const override {
      return ToyTask::training_batch(1, 0, sequences);
    }
  };
  std::set<double> losses;
  for (const std::uint64_t seed : {1, 2}) {
    model::Model model = make_model();
    Options options = quick();
    options.tokens = 5 * 128;
    options.learning_rate = 1e-30;
    options.dropout = 0.2;
    for (const Point& point : train(model, OneBatch(), options, seed, never).curve) losses.insert(point.train_loss);
  }
  EXPECT_EQ(losses.size(), 10u);
}

TEST(Train, RecomputesToTheSameBits) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    std::vector<Result> results;
    for (const bool recompute : {false, true}) {
      model::Model model = make_model("striped-mamba", 1, type);
      Options options = quick();
      options.tokens = 20 * 128;
      options.dropout = 0.1;
      options.micro_batch_tokens = 64;
      options.recompute = recompute;
      results.push_back(train(model, ToyTask(), options, 1, never));
    }
    for (std::size_t i = 0; i < results[0].curve.size(); ++i) {
      EXPECT_EQ(results[0].curve[i].train_loss, results[1].curve[i].train_loss) << i;
      EXPECT_EQ(results[0].curve[i].grad_norm, results[1].curve[i].grad_norm) << i;
    }
  }
}

// The first step, where both start from the same weights, to the rounding of sums; then rounding grows with the steps.
void expect_micro_batches_change_nothing(const tasks::Task& task, const genome::Dimensions& dimensions, std::string_view genome,
                                         at::ScalarType type, double tolerance) {
  const auto& catalogue = genome::Catalogue::liquid();
  std::vector<Result> results;
  for (const std::int64_t micro_batch : {8, 4, 3, 1}) {
    model::Model model(catalogue, genome::genome_or_baseline(catalogue, genome, 2), dimensions, 1, model::Model::Initialization::glorot,
                       type);
    const std::int64_t length = task.sequence_length();
    results.push_back(
        train(model, task,
              {.tokens = 20 * 8 * length, .batch_tokens = 8 * length, .micro_batch_tokens = micro_batch * length, .learning_rate = 1e-3}, 1,
              never));
    EXPECT_EQ(results.back().micro_batch_tokens, micro_batch * length);
    const auto& whole = results.front().curve;
    const auto& parts = results.back().curve;
    EXPECT_NEAR(parts[0].train_loss, whole[0].train_loss, tolerance * whole[0].train_loss) << genome << " " << micro_batch;
    EXPECT_NEAR(parts[0].grad_norm, whole[0].grad_norm, 10 * tolerance * whole[0].grad_norm) << genome << " " << micro_batch;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_NEAR(parts[i].train_loss, whole[i].train_loss, 1000 * tolerance) << genome << " " << micro_batch << " step " << i;
    }
  }
}

TEST(Train, GivesEveryTokenTheSameWeightHoweverABatchIsDivided) {
  const ToyTask full;
  const ToyTask masked({.masked = true});
  const genome::Dimensions dimensions{.width = 16, .length = 16, .vocabulary = 11};
  for (const char* genome : {"transformer++", "striped-mamba"}) {
    expect_micro_batches_change_nothing(full, dimensions, genome, at::kFloat, 1e-6);
    expect_micro_batches_change_nothing(masked, dimensions, genome, at::kFloat, 1e-6);
    expect_micro_batches_change_nothing(masked, dimensions, genome, at::kBFloat16, 1e-5);
  }
}

TEST(Train, DividesBatchesOfMadTasks) {
  for (const MadTask name : {MadTask::selective_copying, MadTask::compression}) {
    auto settings = mad_defaults(name);
    settings.sequence_length = 32;
    settings.copied = 4;
    const auto task = tasks::make_mad(settings);
    const genome::Dimensions dimensions{
        .width = 16, .length = task->sequence_length(), .vocabulary = task->vocabulary(), .reconstructs = task->reconstructs()};
    expect_micro_batches_change_nothing(*task, dimensions, "transformer++", at::kFloat, 1e-6);
  }
}

TEST(Train, StopsBetweenSteps) {
  model::Model model = make_model();
  const ToyTask task;
  std::atomic<bool> stop{false};
  const Result result = train(model, task, quick(), 1, stop, [&](const Point& point, std::int64_t) { stop = point.step == 3; });
  EXPECT_EQ(result.end, End::stopped);
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(result.curve.size(), 3u);
  EXPECT_TRUE(std::isnan(evaluate(model, task, tasks::Split::validation, stop = true).loss));
}

TEST(Train, GivesUpWhereItDiverges) {
  model::Model model = make_model();
  Options options = quick();
  options.learning_rate = 1e4;
  options.gradient_clip = 0;
  const Result result = train(model, ToyTask(), options, 1, never);
  EXPECT_EQ(result.end, End::diverged);
  EXPECT_LT(result.steps, 80);
  EXPECT_EQ(result.curve.back().step, result.steps);
  EXPECT_THAT(result.reason, ::testing::AnyOf(HasSubstr("not finite"), HasSubstr("above the first loss")));
  EXPECT_THAT(result.reason, HasSubstr("step " + std::to_string(result.steps)));
}

TEST(Train, LeavesNoGradientBehind) {
  model::Model model = make_model();
  train(model, ToyTask(), quick(), 1, never);
  for (const auto& parameter : model.parameters()) EXPECT_FALSE(parameter.value.grad().defined()) << parameter.name;
}

TEST(Evaluate, EqualsALongNaiveComputation) {
  model::Model model = make_model("striped-mamba");
  const ToyTask task({.held_out = 150});  // more than one batch
  Options options = quick();
  options.tokens = 20 * 128;
  train(model, task, options, 1, never);
  for (const auto split : {tasks::Split::validation, tasks::Split::test}) {
    const tasks::Batch all = task.held_out_batch(split, 0, 150);
    double nats = 0;
    std::int64_t counted = 0;
    for (std::int64_t i = 0; i < 150; ++i) {
      const at::Tensor logits = model.logits(all.inputs.slice(0, i, i + 1)).detach().to(at::kDouble)[0];
      for (std::int64_t t = 0; t < 16; ++t) {
        const auto target = all.targets[i][t].item<std::int64_t>();
        if (target == tasks::ignored) continue;
        nats += (logits[t].exp().sum().log() - logits[t][target]).item<double>();
        ++counted;
      }
    }
    const Quality quality = evaluate(model, task, split, never);
    EXPECT_EQ(quality.tokens, counted);
    EXPECT_NEAR(quality.loss, nats / static_cast<double>(counted), 1e-5);
    EXPECT_NEAR(quality.bits_per_byte, nats / (std::numbers::ln2 * 100), 1e-3);
    EXPECT_TRUE(std::isnan(quality.accuracy));
  }
}

TEST(Evaluate, AveragesAccuracyOverTheClassesThatOccur) {
  model::Model model = make_model();
  const ToyTask task({.accuracy = true, .held_out = 70});
  Options options = quick();
  options.tokens = 20 * 128;
  train(model, task, options, 1, never);
  const tasks::Batch all = task.held_out_batch(tasks::Split::validation, 0, 70);
  const at::Tensor predicted = model.logits(all.inputs).detach().argmax(-1);
  double sum = 0;
  int classes = 0;
  for (std::int64_t token = 0; token < 11; ++token) {
    const at::Tensor of_class = all.targets == token;
    if (of_class.sum().item<std::int64_t>() == 0) continue;
    sum += (predicted == token).logical_and(of_class).sum().item<double>() / of_class.sum().item<double>();
    ++classes;
  }
  const Quality quality = evaluate(model, task, tasks::Split::validation, never);
  EXPECT_NEAR(quality.accuracy, sum / classes, 1e-9);
  EXPECT_TRUE(std::isnan(quality.bits_per_byte));
}

}  // namespace
}  // namespace starling::training
