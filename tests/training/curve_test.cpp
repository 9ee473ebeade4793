#include <starling/training/curve.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace starling::training {
namespace {

std::vector<std::int64_t> kept(std::int64_t steps, std::int64_t done) {
  Curve curve(steps);
  for (std::int64_t step = 1; step <= done; ++step) curve.add({.step = step});
  std::vector<std::int64_t> result;
  for (const Point& point : curve.take()) result.push_back(point.step);
  return result;
}

TEST(Curve, KeepsEveryStepOfAShortTraining) {
  for (const std::int64_t steps : {1, 2, 100, 512}) EXPECT_EQ(std::ssize(kept(steps, steps)), steps);
}

TEST(Curve, ThinsALongTrainingEvenlyAndKeepsItsEnds) {
  for (const std::int64_t steps : {513, 514, 1000, 1023, 5000, 65537}) {
    const std::vector<std::int64_t> points = kept(steps, steps);
    EXPECT_LE(std::ssize(points), 512);
    EXPECT_GE(std::ssize(points), 500);
    EXPECT_EQ(points.front(), 1);
    EXPECT_EQ(points.back(), steps);
    std::int64_t widest = 0;
    for (std::size_t i = 1; i < points.size(); ++i) {
      ASSERT_GT(points[i], points[i - 1]);
      widest = std::max(widest, points[i] - points[i - 1]);
    }
    EXPECT_LE(widest, (steps - 1) / 510 + 1);
  }
}

TEST(Curve, EndsWithTheLastStepOfATrainingThatStoppedEarly) {
  for (std::int64_t done = 1; done < 2000; done += 37) {
    const std::vector<std::int64_t> points = kept(2000, done);
    EXPECT_EQ(points.front(), 1);
    EXPECT_EQ(points.back(), done);
    EXPECT_LE(std::ssize(points), 512);
  }
}

}  // namespace
}  // namespace starling::training
