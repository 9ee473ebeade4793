#include <starling/base/monarch.hpp>

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(Monarch, HasTheDivisorNearestToTheRootAsBlocks) {
  EXPECT_EQ(monarch_sizes(768, 768).blocks, 24);
  EXPECT_EQ(monarch_sizes(2048, 2048).blocks, 32);
  EXPECT_EQ(monarch_sizes(96, 96).blocks, 8);
  EXPECT_EQ(monarch_sizes(16, 16).blocks, 4);
  EXPECT_EQ(monarch_sizes(1, 1).blocks, 1);
  EXPECT_EQ(monarch_sizes(7, 7).blocks, 1);
}

TEST(Monarch, OfAnyShapeCoversItsInputsAndOutputs) {
  for (std::int64_t inputs = 1; inputs <= 96; ++inputs) {
    for (std::int64_t outputs = 1; outputs <= 96; ++outputs) {
      const auto sizes = monarch_sizes(inputs, outputs);
      ASSERT_EQ(sizes.blocks * sizes.block, inputs);
      ASSERT_EQ(sizes.block * sizes.block_outputs, outputs);
      ASSERT_EQ(sizes.elements(), inputs * sizes.block + outputs * sizes.blocks);
    }
  }
}

}  // namespace
}  // namespace starling
