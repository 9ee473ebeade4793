#include <starling/base/error.hpp>

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(NearestName, FindsASlip) {
  EXPECT_EQ(nearest_name("popluation", {"tournament", "population", "mutation"}), "population");
  EXPECT_EQ(nearest_name("rnu", {"check", "run"}), "run") << "a swap of neighbours";
  EXPECT_EQ(did_you_mean("quality2", {"cache", "quality"}), " (did you mean 'quality'?)");
}

TEST(NearestName, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest_name("zzzzzz", {"tournament", "population"}), "");
  EXPECT_EQ(did_you_mean("zzzzzz", {}), "");
}

}  // namespace
}  // namespace starling
