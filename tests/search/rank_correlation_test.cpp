#include <starling/search/rank_correlation.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <starling/base/random.hpp>

namespace starling::search {
namespace {

using Values = std::vector<double>;

TEST(KendallTau, IsOneForTheSameOrderAndMinusOneForTheOppositeOne) {
  EXPECT_DOUBLE_EQ(kendall_tau(Values{1, 2, 3, 4}, Values{10, 20, 30, 31}).value(), 1);
  EXPECT_DOUBLE_EQ(kendall_tau(Values{1, 2, 3, 4}, Values{9, 7, 5, 3}).value(), -1);
}

TEST(KendallTau, CountsPairsByHand) {
  // Of ten pairs b is in disorder at (2,1), (4,3) and (5,3): 7 concordant, 3 discordant.
  EXPECT_DOUBLE_EQ(kendall_tau(Values{1, 2, 3, 4, 5}, Values{2, 1, 4, 5, 3}).value(), 4.0 / 10);
  // One discordant pair of three.
  EXPECT_DOUBLE_EQ(kendall_tau(Values{0.1, 0.2, 0.3}, Values{5, 7, 6}).value(), 1.0 / 3);
}

TEST(KendallTau, TakesTiesIntoAccount) {
  // Pairs: tied in a (1,2); tied in b (2,3); the other four concordant: 4 / √(5 · 5).
  EXPECT_DOUBLE_EQ(kendall_tau(Values{1, 1, 2, 3}, Values{1, 2, 2, 3}).value(), 4.0 / 5);
  // Six pairs; a ties two of them, b none; 3 concordant, 1 discordant: 2 / √(4 · 6).
  EXPECT_DOUBLE_EQ(kendall_tau(Values{1, 1, 2, 2}, Values{1, 3, 2, 4}).value(), 2 / std::sqrt(24.0));
  // Tied in the same places, else the same order.
  EXPECT_DOUBLE_EQ(kendall_tau(Values{1, 1, 2}, Values{7, 7, 9}).value(), 1);
}

TEST(KendallTau, IsNothingWhereThereIsNoOrder) {
  EXPECT_FALSE(kendall_tau(Values{}, Values{}));
  EXPECT_FALSE(kendall_tau(Values{1}, Values{2}));
  EXPECT_FALSE(kendall_tau(Values{1, 1, 1}, Values{1, 2, 3}));
  EXPECT_FALSE(kendall_tau(Values{1, 2, 3}, Values{4, 4, 4}));
}

TEST(KendallTau, OrdersInfinitiesLikeNumbers) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  EXPECT_DOUBLE_EQ(kendall_tau(Values{-inf, 0, inf}, Values{1, 2, 3}).value(), 1);
}

TEST(KendallTau, DependsOnOrderAloneAndIsSymmetric) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < 50; ++i) {
    Values a, b, stretched;
    for (int k = 0; k < 30; ++k) {
      a.push_back(static_cast<double>(stream.below(12)));
      b.push_back(static_cast<double>(stream.below(12)));
      stretched.push_back(std::exp(a.back()));
    }
    const auto tau = kendall_tau(a, b);
    ASSERT_TRUE(tau);
    EXPECT_DOUBLE_EQ(*tau, kendall_tau(b, a).value());
    EXPECT_DOUBLE_EQ(*tau, kendall_tau(stretched, b).value());
    EXPECT_LE(std::abs(*tau), 1);
    for (auto& value : b) value = -value;
    EXPECT_DOUBLE_EQ(*tau, -kendall_tau(a, b).value());
  }
}

}  // namespace
}  // namespace starling::search
