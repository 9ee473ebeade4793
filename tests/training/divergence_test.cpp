#include <starling/training/divergence.hpp>

#include <gmock/gmock.h>

#include <limits>

namespace starling::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Divergence, IsALossOrGradientThatIsNotFiniteAtAnyStep) {
  for (const double bad : {infinity, -infinity, nan}) {
    Divergence loss(10);
    EXPECT_EQ(loss.observe(bad, 1), "loss is not finite at step 1");
    Divergence gradient(10);
    EXPECT_EQ(gradient.observe(5, 1), std::nullopt);
    EXPECT_EQ(gradient.observe(5, bad), "gradient is not finite at step 2");
  }
}

TEST(Divergence, IsAMeanOfTwentyStepsAboveTheFirstLossAndAHalf) {
  Divergence divergence(0);
  EXPECT_EQ(divergence.observe(5, 1), std::nullopt);
  for (int step = 2; step <= 20; ++step) EXPECT_EQ(divergence.observe(5.5, 1), std::nullopt);
  for (int step = 21; step <= 40; ++step) EXPECT_EQ(divergence.observe(5.5, 1), std::nullopt) << "at the bound, not above";
  EXPECT_THAT(divergence.observe(5.6, 1).value_or(""), AllOf(HasSubstr("above the first loss"), HasSubstr("at step 41")));
}

TEST(Divergence, IsAGradientThatStaysAThousandTimesTheFirst) {
  Divergence divergence(0);
  EXPECT_EQ(divergence.observe(5, 2), std::nullopt);
  for (int step = 2; step <= 40; ++step) EXPECT_EQ(divergence.observe(4, 2000), std::nullopt) << "at the bound, not above";
  for (int step = 41; step <= 59; ++step) EXPECT_EQ(divergence.observe(4, 2001), std::nullopt) << "19 steps are not 20";
  EXPECT_THAT(divergence.observe(4, 1e30).value_or(""),
              AllOf(HasSubstr("gradient has exploded"), HasSubstr("at least 2e+03"), HasSubstr("at step 60")));
}

TEST(Divergence, IsNoGradientThatExplodesOnceOrDuringWarmUpOrFromNearlyNothing) {
  Divergence spikes(0);
  for (int step = 1; step <= 100; ++step) EXPECT_EQ(spikes.observe(3, step % 20 == 0 ? 1 : 1e6), std::nullopt);
  Divergence warming(50);
  for (int step = 1; step <= 50; ++step) EXPECT_EQ(warming.observe(3, step == 1 ? 1 : 1e6), std::nullopt);
  EXPECT_NE(warming.observe(3, 1e6), std::nullopt);
  Divergence flat(0);
  for (int step = 1; step <= 100; ++step) EXPECT_EQ(flat.observe(3, step == 1 ? 1e-6 : 900), std::nullopt);
}

TEST(Divergence, IsNotASpike) {
  Divergence divergence(0);
  for (int step = 1; step <= 100; ++step) EXPECT_EQ(divergence.observe(step % 20 == 0 ? 12 : 3, 1), std::nullopt);
}

TEST(Divergence, OfASeriesIsMeasuredByWhatItsBatchesLoseWhereNothingIsLearned) {
  Divergence healthy(0), worse(0);
  EXPECT_EQ(healthy.observe(0.001, 1, 0.001), std::nullopt) << "a quiet window first";
  EXPECT_EQ(worse.observe(0.001, 1, 0.001), std::nullopt);
  for (int step = 2; step <= 60; ++step)
    EXPECT_EQ(healthy.observe(step % 2 == 0 ? 3 : 0, 1, step % 2 == 0 ? 2.9 : 0), std::nullopt) << step;
  for (int step = 2; step <= 19; ++step) EXPECT_EQ(worse.observe(3, 1, 2), std::nullopt);
  EXPECT_THAT(worse.observe(3, 1, 2).value_or(""), HasSubstr("above that of the last values there, 1.900, at step 20"));
}

TEST(Divergence, WaitsForTheEndOfWarmUp) {
  Divergence divergence(50);
  divergence.observe(5, 1);
  for (int step = 2; step <= 50; ++step) EXPECT_EQ(divergence.observe(9, 1), std::nullopt);
  EXPECT_THAT(divergence.observe(9, 1).value_or(""), HasSubstr("at step 51"));
}

TEST(Divergence, NeedsTwentySteps) {
  Divergence divergence(0);
  divergence.observe(1, 1);
  for (int step = 2; step <= 19; ++step) EXPECT_EQ(divergence.observe(9, 1), std::nullopt);
  EXPECT_NE(divergence.observe(9, 1), std::nullopt);
}

}  // namespace
}  // namespace starling::training
