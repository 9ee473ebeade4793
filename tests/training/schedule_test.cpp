#include <starling/training/schedule.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace starling::training {
namespace {

TEST(Schedule, RisesLinearlyThenFallsAlongACosineToTheFinalRate) {
  const Schedule schedule(2e-3, 0.1, 0.1, 200);
  EXPECT_EQ(schedule.warmup_steps(), 20);
  EXPECT_DOUBLE_EQ(schedule.rate(0), 2e-3 / 20);
  EXPECT_DOUBLE_EQ(schedule.rate(9), 1e-3);
  EXPECT_DOUBLE_EQ(schedule.rate(19), 2e-3);
  EXPECT_DOUBLE_EQ(schedule.rate(109), (2e-3 + 2e-4) / 2);
  EXPECT_DOUBLE_EQ(schedule.rate(199), 2e-4);
}

TEST(Schedule, HasItsEndsAndStaysBetweenThemWhateverTheSettings) {
  for (const double warmup : {0.0, 0.01, 0.1, 0.5, 0.99, 1.0}) {
    for (const double final_share : {0.0, 0.1, 1.0}) {
      for (const std::int64_t steps : {1, 2, 7, 100, 1001}) {
        const Schedule schedule(1.0, warmup, final_share, steps);
        double highest = 0;
        for (std::int64_t step = 0; step < steps; ++step) {
          const double rate = schedule.rate(step);
          EXPECT_GE(rate, 0);
          EXPECT_LE(rate, 1.0 + 1e-12);
          if (step > 0 && step < schedule.warmup_steps()) {
            EXPECT_GT(rate, schedule.rate(step - 1));
          }
          if (step > schedule.warmup_steps()) {
            EXPECT_LE(rate, schedule.rate(step - 1) + 1e-12);
          }
          highest = std::max(highest, rate);
        }
        if (schedule.warmup_steps() > 0) {
          EXPECT_DOUBLE_EQ(highest, 1.0);
        }
        if (schedule.warmup_steps() < steps) {
          EXPECT_NEAR(schedule.rate(steps - 1), final_share, 1e-12);
        }
      }
    }
  }
}

}  // namespace
}  // namespace starling::training
