#include <starling/genome/plan.hpp>

#include <gtest/gtest.h>

namespace starling::genome {
namespace {

const Catalogue& liquid = Catalogue::liquid();

Plan plan_of(std::string_view text) { return make_plan(liquid, parse_genome(text)); }

GroupMask mask(const char* name, std::initializer_list<const char*> groups) {
  GroupMask result = 0;
  for (const auto* group : groups) result |= GroupMask{1} << group_index(liquid.featurizer_of(liquid.at(name)), group);
  return result;
}

TEST(Plan, WithoutSharingEveryoneOwnsAll) {
  const auto plan = plan_of("11111-81111-11111");
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(plan.livs[i].weight_owner, i);
    EXPECT_EQ(plan.livs[i].feature_owner, i);
    EXPECT_EQ(plan.livs[i].reads, 0u);
    EXPECT_EQ(plan.livs[i].bank, plan.livs[i].computes);
  }
  EXPECT_EQ(plan.livs[0].computes, mask("SA-1", {"q", "k", "v"}));
  EXPECT_EQ(plan.livs[1].computes, mask("GMemless", {"gate", "value"}));
  EXPECT_EQ(plan.livs[1].liv_class, &liquid.at(8));
}

TEST(Plan, GroupsArePerClassKindAndId) {
  // LIVs 1, 3 and 5 are SA-1: 1 and 5 share weights in group 1, 3 is in group 2 alone. LIV 2 is of another class, LIV 4
  // has strategy 1.
  const auto plan = plan_of("11211-31211-12211-11111-11211");
  EXPECT_EQ(plan.livs[0].weight_owner, 0u);
  EXPECT_EQ(plan.livs[1].weight_owner, 1u);
  EXPECT_EQ(plan.livs[2].weight_owner, 2u);
  EXPECT_EQ(plan.livs[3].weight_owner, 3u);
  EXPECT_EQ(plan.livs[4].weight_owner, 0u);
  EXPECT_EQ(plan.livs[4].bank, 0u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(plan.livs[i].feature_owner, i) << "the other kind of sharing";
}

TEST(Plan, TheFirstMemberOwnsAndReadersHaveTheirOwnStrategies) {
  const auto plan = plan_of("41114-41112-41113-41114");
  EXPECT_EQ(plan.livs[0].feature_owner, 0u);
  EXPECT_EQ(plan.livs[0].reads, 0u) << "the owner's own strategy reads nothing";
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(plan.livs[i].feature_owner, 0u);
  EXPECT_EQ(plan.livs[1].reads, mask("Rec-1", {"B", "C"}));
  EXPECT_EQ(plan.livs[2].reads, mask("Rec-1", {"B"}));
  EXPECT_EQ(plan.livs[3].reads, mask("Rec-1", {"C"}));
  EXPECT_EQ(plan.livs[1].computes, mask("Rec-1", {"A", "v", "z"}));
  EXPECT_EQ(plan.livs[1].bank, mask("Rec-1", {"A", "v", "z"}));
}

TEST(Plan, ABankHoldsWhatAnyMemberComputes) {
  // LIV 2 owns the weights that LIVs 2, 3 share; it reads B and C, LIV 3 computes C.
  const auto plan = plan_of("61112-61212-61213");
  EXPECT_EQ(plan.livs[1].weight_owner, 1u);
  EXPECT_EQ(plan.livs[2].weight_owner, 1u);
  EXPECT_EQ(plan.livs[1].computes, mask("GConv-1", {"v", "K"}));
  EXPECT_EQ(plan.livs[1].bank, mask("GConv-1", {"C", "v", "K"}));
  EXPECT_EQ(plan.livs[2].bank, 0u);
}

TEST(Plan, PathGroupsAreNeighboursOfOnePath) {
  const auto plan = plan_of("1111110-8111110-8111120-81111-8111110-6111120-6111120-6111120-6111110");
  const std::vector<std::size_t> first{0, 0, 2, 3, 4, 5, 5, 5, 8}, size{2, 2, 1, 1, 1, 3, 3, 3, 1};
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(plan.livs[i].path_first, first[i]) << i;
    EXPECT_EQ(plan.livs[i].path_size, size[i]) << i;
  }
}

TEST(Plan, AMemberOfAPathGroupMayReadAnEarlierOne) {
  const auto plan = plan_of("1111211-1111210");
  EXPECT_EQ(plan.livs[1].feature_owner, 0u);
  EXPECT_EQ(plan.livs[1].reads, mask("SA-1", {"k", "v"}));
  EXPECT_TRUE(plan.livs[0].routed);
  EXPECT_FALSE(plan.livs[1].routed);
  EXPECT_TRUE(plan.livs[1].path_routed);
}

TEST(Plan, ReadingWeightsFromWhoHasThemAnywayIsReadingNothing) {
  const char* shared = "11.1.2.1.1-11.1.2.1.1";
  EXPECT_EQ(plan_of("11.1.2.1.2-11.1.2.1.2"), plan_of(shared));
  EXPECT_EQ(plan_of("11.1.2.1.2-11.1.2.1.3"), plan_of(shared));
  EXPECT_NE(plan_of("41212-41212"), plan_of("41211-41211")) << "activations differ though weights are shared";
}

TEST(Plan, WhicheverOfThoseWithTheSameWeightsIsReadIsOne) {
  const auto plan = plan_of("11.1.2.1.2-11.1.2.2.1-11.1.1.1.2");
  EXPECT_EQ(plan_of("11.1.2.2.1-11.1.2.1.2-11.1.1.1.2"), plan);
  EXPECT_EQ(plan_of("11.1.2.1.2-11.1.2.1.4-11.1.1.1.2"), plan);
  EXPECT_EQ(plan.livs[2].feature_owner, 0u);
  EXPECT_EQ(plan.livs[2].reads, mask("S4-1", {"B", "C"}));
  EXPECT_EQ(plan.livs[2].bank, mask("S4-1", {"A", "v", "z"}));
  EXPECT_NE(plan_of("11.1.1.1.2-11.1.1.2.1-11.1.1.1.2"), plan_of("11.1.1.2.1-11.1.1.1.2-11.1.1.1.2"));
}

TEST(Plan, LeavesEmptyLivsOut) {
  EXPECT_EQ(plan_of("01211-11212-01211-81111-0111210-11212"), plan_of("11212-81111-11212"));
  EXPECT_EQ(plan_of("1111110-01111-8111110"), plan_of("1111110-8111110")) << "they part no path group";
}

TEST(Plan, AGroupOfOneSharesNothing) { EXPECT_EQ(plan_of("11212-81212"), plan_of("11111-81111")); }

}  // namespace
}  // namespace starling::genome
