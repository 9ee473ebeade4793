#include <starling/training/batch_feed.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <stdexcept>

#include "toy_task.hpp"

namespace starling::training {
namespace {

TEST(BatchFeed, GivesTheBatchesOfTheTaskInOrderAheadOrNot) {
  const ToyTask task({.masked = true});
  for (const bool ahead : {false, true}) {
    BatchFeed feed(task, {.seed = 3, .sequences = 5, .steps = 20, .ahead = ahead});
    for (std::int64_t step = 0; step < 20; ++step) {
      const auto [batch, counted, unlearned] = feed.next();
      const auto expected = task.training_batch(3, step, 5);
      EXPECT_TRUE(batch.inputs.equal(expected.inputs)) << step;
      EXPECT_TRUE(batch.targets.equal(expected.targets)) << step;
      EXPECT_EQ(counted, tasks::counted_targets(expected.targets));
      EXPECT_EQ(unlearned, std::nullopt) << "of tokens every batch loses alike";
    }
  }
}

TEST(BatchFeed, SaysWhatABatchOfASeriesLosesWhereEveryValueStaysWhatItWas) {
  class Values final : public ToyTask {
    tasks::Batch training_batch(std::uint64_t, std::int64_t, std::int64_t) const override {
      const float missing = std::numeric_limits<float>::quiet_NaN();
      return {at::tensor({1.0f, 3.0f, 0.0f}).view({1, 3, 1}), at::tensor({3.0f, missing, -1.0f}).view({1, 3, 1})};
    }
  };
  const Values task;
  BatchFeed feed(task, {.sequences = 1, .steps = 1});
  EXPECT_EQ(feed.next().unlearned, (4.0 + 1.0) / 2);
}

TEST(BatchFeed, ThrowsWhatMakingABatchThrowsInItsTurnAndFromThenOn) {
  class Failing final : public ToyTask {
    tasks::Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
      if (step == 3) throw std::runtime_error("no more");
      return ToyTask::training_batch(seed, step, sequences);
    }
  };
  for (const bool ahead : {false, true}) {
    const Failing task;
    BatchFeed feed(task, {.seed = 1, .sequences = 2, .steps = 10, .ahead = ahead});
    for (int step = 0; step < 3; ++step) EXPECT_NO_THROW(feed.next());
    EXPECT_THROW(feed.next(), std::runtime_error);
    EXPECT_THROW(feed.next(), std::runtime_error);
  }
}

TEST(BatchFeed, EndsWhereNobodyAsksForTheRest) {
  const ToyTask task;
  for (const int asked : {0, 1, 7}) {
    BatchFeed feed(task, {.seed = 1, .sequences = 2, .steps = 1000, .ahead = true});
    for (int i = 0; i < asked; ++i) feed.next();
  }
}

}  // namespace
}  // namespace starling::training
