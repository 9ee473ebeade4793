#include <starling/training/device.hpp>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <starling/base/error.hpp>

namespace starling::training {
namespace {

TEST(Device, IsNamedAsTheListHasIt) {
  ASSERT_EQ(device_names().front(), "cpu");
  for (const auto& name : device_names()) EXPECT_EQ(device_named(name).str(), name);
  for (const auto* const wrong : {"cuda", "cuda:99", "gpu", ""}) {
    try {
      device_named(wrong);
      FAIL() << wrong;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("expected one of cpu"));
    }
  }
}

TEST(Device, OfTheCpuTakesWhatIsSentAndReadsWhatIsThere) {
  const auto numbers = at::arange(3, at::kDouble);
  EXPECT_EQ(Reading(numbers).wait()[2], 2);
  EXPECT_TRUE(Sending({numbers}, at::kCPU).take()[0].is_same(numbers));
  EXPECT_TRUE(still_works(at::kCPU));
  EXPECT_GT(free_memory_bytes(at::kCPU).value_or(1), 0);
}

}  // namespace
}  // namespace starling::training
