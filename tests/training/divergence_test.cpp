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

TEST(Divergence, IsNotASpike) {
  Divergence divergence(0);
  for (int step = 1; step <= 100; ++step) EXPECT_EQ(divergence.observe(step % 20 == 0 ? 12 : 3, 1), std::nullopt);
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
