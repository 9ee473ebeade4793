#include <starling/search/comparison.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include <starling/base/random.hpp>

namespace starling::search {
namespace {

Points points_of(const std::vector<std::vector<double>>& rows) {
  Points points(rows.front().size());
  for (const auto& row : rows) points.add(row);
  return points;
}

TEST(Box, SpansTheFrontsAndATenthMore) {
  const auto box = box_of(points_of({{1, 30}, {3, 20}, {2, 8}}));
  EXPECT_EQ(box.ideal, (std::vector<double>{1, 8}));
  EXPECT_DOUBLE_EQ(box.reference[0], 3 + 0.2);
  EXPECT_DOUBLE_EQ(box.reference[1], 30 + 2.2);
}

TEST(Box, HasAVolumeWhereTheFrontIsOnePoint) {
  const auto box = box_of(points_of({{-4, 0, 7}}));
  EXPECT_DOUBLE_EQ(box.reference[0], -3.6);
  EXPECT_DOUBLE_EQ(box.reference[1], 0.1);
  EXPECT_DOUBLE_EQ(box.reference[2], 7.7);
  EXPECT_DOUBLE_EQ(hypervolume_shares(points_of({{-4, 0, 7}}), box).back(), 1);
}

TEST(HypervolumeShares, CountByHand) {
  // Box (0, 0) to (11, 11).
  const Box box{{0, 0}, {11, 11}};
  const auto shares = hypervolume_shares(points_of({{20, 0}, {0, 10}, {5, 5}, {6, 6}, {10, 0}, {-3, -3}}), box);
  const std::vector<double> areas{0, 11, 11 + 6 * 5, 11 + 6 * 5, 11 + 6 * 5 + 5, 121};
  ASSERT_EQ(shares.size(), areas.size());
  for (std::size_t i = 0; i < areas.size(); ++i) EXPECT_NEAR(shares[i], areas[i] / 121, 1e-12) << i;
}

TEST(HypervolumeShares, NeverFallAndEndAsTheVolumeOfAllPoints) {
  for (std::size_t objectives = 1; objectives <= 4; ++objectives) {
    Stream stream(3, Purpose::test, objectives);
    Points points(objectives), scaled(objectives);
    for (int i = 0; i < 200; ++i) {
      std::vector<double> point(objectives);
      for (auto& value : point) value = 100 * stream.uniform();
      points.add(point);
    }
    const auto box = box_of(points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      std::vector<double> point(points[i].begin(), points[i].end());
      for (std::size_t m = 0; m < objectives; ++m) point[m] = (point[m] - box.ideal[m]) / (box.reference[m] - box.ideal[m]);
      scaled.add(point);
    }
    const auto shares = hypervolume_shares(points, box);
    EXPECT_TRUE(std::ranges::is_sorted(shares));
    EXPECT_GT(shares.back(), shares.front());
    EXPECT_LE(shares.back(), 1);
    EXPECT_NEAR(shares.back(), hypervolume(scaled, std::vector<double>(objectives, 1)), 1e-12) << objectives << " objectives";
  }
}

}  // namespace
}  // namespace starling::search
