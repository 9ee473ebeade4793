#include <starling/kernels/dispatch.hpp>

#include <gtest/gtest.h>

namespace starling::kernels {
namespace {

TEST(Dispatch, TheBaselineIsAlwaysThereAndTheBestLevelIsInUse) {
  const auto levels = supported_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), Level::baseline);
  EXPECT_EQ(active_level(), levels.back());
  for (std::size_t i = 1; i < levels.size(); ++i) EXPECT_LT(levels[i - 1], levels[i]);
}

TEST(Dispatch, ALevelCanBeForced) {
  force_level(Level::baseline);
  EXPECT_EQ(active_level(), Level::baseline);
  EXPECT_STREQ(level_name(active_level()), "baseline");
  force_level(supported_levels().back());
  EXPECT_EQ(active_level(), supported_levels().back());
}

}  // namespace
}  // namespace starling::kernels
