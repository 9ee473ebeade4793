#include <starling/search/pareto.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <starling/base/random.hpp>

namespace starling::search {
namespace {

using testing::ElementsAre;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Random points; `levels` > 0 puts them on a grid of so many values, so that ties and copies are frequent.
Points random_points(std::size_t count, std::size_t objectives, std::uint64_t levels, Stream& stream) {
  Points points(objectives);
  std::vector<double> point(objectives);
  for (std::size_t i = 0; i < count; ++i) {
    for (auto& value : point) value = levels > 0 ? static_cast<double>(stream.below(levels)) : stream.uniform();
    points.add(point);
  }
  return points;
}

/// The definition: what nobody left dominates is the next front.
std::vector<std::uint32_t> ranks_by_peeling(const Points& points) {
  constexpr std::uint32_t unranked = ~0u;
  std::vector<std::uint32_t> ranks(points.size(), unranked);
  for (std::uint32_t rank = 0; std::ranges::count(ranks, unranked) > 0; ++rank) {
    std::vector<std::size_t> front;
    for (std::size_t i = 0; i < points.size(); ++i) {
      bool free = ranks[i] == unranked;
      for (std::size_t j = 0; j < points.size() && free; ++j) free = ranks[j] != unranked || !dominates(points[j], points[i]);
      if (free) front.push_back(i);
    }
    for (const auto i : front) ranks[i] = rank;
  }
  return ranks;
}

/// The definition, point by point: how far the next values on both sides are.
std::vector<double> crowding_by_definition(const Points& points, const std::vector<std::size_t>& front) {
  std::vector<double> result(front.size(), 0.0);
  if (front.size() == 1) return {infinity};
  for (std::size_t m = 0; m < points.objectives(); ++m) {
    const auto value = [&](std::size_t i) { return points[front[i]][m]; };
    double low = infinity, high = -infinity;
    for (std::size_t i = 0; i < front.size(); ++i) low = std::min(low, value(i)), high = std::max(high, value(i));
    if (low == high) continue;
    for (std::size_t i = 0; i < front.size(); ++i) {
      // Who is outside of i among equal values: the earlier ones.
      const bool upper = value(i) == high;
      double below = -infinity, above = infinity;
      for (std::size_t j = 0; j < front.size(); ++j) {
        if (j == i) continue;
        const bool is_below = value(j) != value(i) ? value(j) < value(i) : (upper ? j > i : j < i);
        if (is_below) {
          below = std::max(below, value(j));
        } else {
          above = std::min(above, value(j));
        }
      }
      result[i] += (above - below) / (high - low);
    }
  }
  return result;
}

TEST(Dominates, NeedsOneBetterAndNoneWorse) {
  const std::vector<double> a{1, 2}, b{1, 3}, c{0, 4};
  EXPECT_TRUE(dominates(a, b));
  EXPECT_FALSE(dominates(b, a));
  EXPECT_FALSE(dominates(a, a));
  EXPECT_FALSE(dominates(a, c));
  EXPECT_FALSE(dominates(c, a));
}

TEST(Ranks, EqualTheDefinitionOnRandomPointsWithTies) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < 1500; ++i) {
    const auto points = random_points(stream.below(50), 1 + stream.below(5), stream.chance(0.7) ? 1 + stream.below(8) : 0, stream);
    const auto ranks = ranks_by_peeling(points);
    ASSERT_EQ(nondominated_ranks(points), ranks);
    const auto front = nondominated(points);
    EXPECT_TRUE(std::ranges::is_sorted(front));
    EXPECT_EQ(static_cast<std::ptrdiff_t>(front.size()), std::ranges::count(ranks, 0u));
    for (const auto point : front) EXPECT_EQ(ranks[point], 0u);
  }
}

TEST(Ranks, OfManyPointsInTwoObjectivesAreRight) {
  Stream stream(2, Purpose::test);
  const auto points = random_points(1000, 2, 40, stream);
  EXPECT_EQ(nondominated_ranks(points), ranks_by_peeling(points));
}

TEST(Crowding, IsDebsOnAKnownFront) {
  Points points(2);
  for (const auto& point : {std::vector<double>{0, 10}, {1, 6}, {4, 4}, {10, 0}}) points.add(point);
  const std::vector<std::size_t> front{2, 0, 1, 3};
  EXPECT_THAT(crowding_distance(points, front), ElementsAre(9.0 / 10 + 6.0 / 10, infinity, 4.0 / 10 + 6.0 / 10, infinity));
}

TEST(Crowding, OfCopiesOfAnExtremePointIsInfiniteOnce) {
  Points points(2);
  for (const auto& point : {std::vector<double>{0, 4}, {0, 4}, {0, 4}, {1, 3}, {4, 0}, {4, 0}}) points.add(point);
  const std::vector<std::size_t> front{0, 1, 2, 3, 4, 5};
  EXPECT_THAT(crowding_distance(points, front), ElementsAre(infinity, 0, 0.25 + 0.25, 2.0, infinity, 0.75 + 0.75));
}

TEST(Crowding, OfObjectivesThatDoNotVaryIsZero) {
  Points points(2);
  for (const auto& point : {std::vector<double>{1, 5}, {1, 5}, {1, 5}}) points.add(point);
  EXPECT_THAT(crowding_distance(points, std::vector<std::size_t>{0, 1, 2}), ElementsAre(0, 0, 0));
  EXPECT_THAT(crowding_distance(points, std::vector<std::size_t>{1}), ElementsAre(infinity));
  EXPECT_THAT(crowding_distance(points, std::vector<std::size_t>{}), ElementsAre());
}

TEST(Crowding, EqualsTheDefinitionOnRandomFrontsWithTies) {
  Stream stream(3, Purpose::test);
  for (int i = 0; i < 2000; ++i) {
    const auto points = random_points(1 + stream.below(40), 1 + stream.below(4), stream.chance(0.7) ? 1 + stream.below(8) : 0, stream);
    std::vector<std::size_t> front(points.size());
    std::iota(front.begin(), front.end(), std::size_t{0});
    for (std::size_t k = front.size(); k > 1; --k) std::swap(front[k - 1], front[stream.below(k)]);
    front.resize(1 + stream.below(front.size()));
    const auto found = crowding_distance(points, front), expected = crowding_by_definition(points, front);
    for (std::size_t k = 0; k < front.size(); ++k) {
      if (std::isinf(expected[k])) {
        EXPECT_EQ(found[k], infinity);
      } else {
        EXPECT_NEAR(found[k], expected[k], 1e-12);
      }
    }
  }
}

/// Points on a grid: the cells between a point and the reference are counted one by one.
double volume_by_counting(const Points& points, int reference) {
  const auto objectives = points.objectives();
  std::vector<int> cell(objectives, 0);
  double volume = 0;
  for (;;) {
    bool covered = false;
    for (std::size_t i = 0; i < points.size() && !covered; ++i) {
      covered = std::ranges::equal(points[i], cell, [](double value, int corner) { return value <= corner; });
    }
    volume += covered;
    std::size_t m = 0;
    while (m < objectives && ++cell[m] == reference) cell[m++] = 0;
    if (m == objectives) return volume;
  }
}

TEST(Hypervolume, EqualsCountedCellsOnAGrid) {
  Stream stream(4, Purpose::test);
  constexpr int sides[] = {0, 30, 16, 9, 6, 5};
  for (std::size_t objectives = 1; objectives <= 5; ++objectives) {
    const int side = sides[objectives];
    for (int i = 0; i < 150; ++i) {
      // Some of the points lie on or beyond the reference.
      const auto points = random_points(stream.below(25), objectives, static_cast<std::uint64_t>(side) + 2, stream);
      const std::vector<double> reference(objectives, side);
      ASSERT_EQ(hypervolume(points, reference), volume_by_counting(points, side)) << objectives << " objectives";
    }
  }
}

TEST(Hypervolume, OfAnySingleBoxIsItsVolume) {
  for (std::size_t objectives = 1; objectives <= 6; ++objectives) {
    Points points(objectives);
    points.add(std::vector<double>(objectives, -0.5));
    points.add(std::vector<double>(objectives, 0.25));  // dominated
    EXPECT_DOUBLE_EQ(hypervolume(points, std::vector<double>(objectives, 1.5)), std::pow(2.0, objectives));
    EXPECT_EQ(hypervolume(points, std::vector<double>(objectives, -0.5)), 0);
  }
}

TEST(Hypervolume, DoesNotDependOnTheOrderOfPointsOrObjectives) {
  Stream stream(5, Purpose::test);
  for (int i = 0; i < 100; ++i) {
    const std::size_t objectives = 2 + stream.below(4);
    const auto points = random_points(30, objectives, 0, stream);
    Points reversed(objectives);
    for (std::size_t k = points.size(); k-- > 0;) reversed.add(std::vector<double>(points[k].rbegin(), points[k].rend()));
    const std::vector<double> reference(objectives, 1.1);
    EXPECT_NEAR(hypervolume(points, reference), hypervolume(reversed, reference), 1e-12);
  }
}

TEST(Points, RemoveFillsTheGapWithTheLast) {
  Points points(2);
  for (const auto& point : {std::vector<double>{0, 1}, {2, 3}, {4, 5}}) points.add(point);
  points.remove(0);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_THAT(points[0], ElementsAre(4, 5));
  EXPECT_THAT(points[1], ElementsAre(2, 3));
  points.remove(1);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_THAT(points[0], ElementsAre(4, 5));
}

}  // namespace
}  // namespace starling::search
