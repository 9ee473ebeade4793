#include <starling/training/schedule.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace starling::training {
namespace {

TEST(Schedule, RisesLinearlyThenFallsAlongACosineToTheFinalRate) {
  const Schedule schedule(Descent::cosine, 2e-3, 0.1, 0.1, 200);
  EXPECT_EQ(schedule.warmup_steps(), 20);
  EXPECT_DOUBLE_EQ(schedule.rate(0), 2e-3 / 20);
  EXPECT_DOUBLE_EQ(schedule.rate(9), 1e-3);
  EXPECT_DOUBLE_EQ(schedule.rate(19), 2e-3);
  EXPECT_DOUBLE_EQ(schedule.rate(109), (2e-3 + 2e-4) / 2);
  EXPECT_DOUBLE_EQ(schedule.rate(199), 2e-4);
}

TEST(Schedule, RisesLinearlyThenFallsAlongALineToTheFinalRate) {
  const Schedule schedule(Descent::linear, 2e-3, 0.1, 0.1, 200);
  EXPECT_DOUBLE_EQ(schedule.rate(0), 2e-3 / 20);
  EXPECT_DOUBLE_EQ(schedule.rate(19), 2e-3);
  EXPECT_DOUBLE_EQ(schedule.rate(20), 2e-3 - 1.8e-3 / 180);
  EXPECT_DOUBLE_EQ(schedule.rate(64), 2e-3 - 1.8e-3 / 4);
  EXPECT_DOUBLE_EQ(schedule.rate(109), (2e-3 + 2e-4) / 2);
  EXPECT_DOUBLE_EQ(schedule.rate(199), 2e-4);
  const Schedule to_nothing(Descent::linear, 1.0, 0, 0, 4);
  for (std::int64_t step = 0; step < 4; ++step) EXPECT_DOUBLE_EQ(to_nothing.rate(step), 0.25 * static_cast<double>(3 - step));
}

TEST(Schedule, RisesLinearlyThenStays) {
  const Schedule schedule(Descent::constant, 2e-3, 0.1, 0.1, 200);
  EXPECT_EQ(schedule.warmup_steps(), 20);
  EXPECT_DOUBLE_EQ(schedule.rate(0), 2e-3 / 20);
  EXPECT_DOUBLE_EQ(schedule.rate(9), 1e-3);
  for (const std::int64_t step : {19, 20, 109, 199}) EXPECT_DOUBLE_EQ(schedule.rate(step), 2e-3);
}

void expect_ends(Descent descent, double warmup, double final_share, std::int64_t steps) {
  const Schedule schedule(descent, 1.0, warmup, final_share, steps);
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
    EXPECT_NEAR(schedule.rate(steps - 1), descent == Descent::constant ? 1.0 : final_share, 1e-12);
  }
}

TEST(Schedule, HasItsEndsAndStaysBetweenThemWhateverTheSettings) {
  for (const auto descent : {Descent::cosine, Descent::linear, Descent::constant}) {
    for (const double warmup : {0.0, 0.01, 0.1, 0.5, 0.99, 1.0}) {
      for (const double final_share : {0.0, 0.1, 1.0}) {
        for (const std::int64_t steps : {1, 2, 7, 100, 1001}) expect_ends(descent, warmup, final_share, steps);
      }
    }
  }
}

}  // namespace
}  // namespace starling::training
