#include <starling/training/process.hpp>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

namespace starling::training {
namespace {

TEST(Process, GivesEveryLibraryTheThreadsAskedFor) {
  tune_process(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_LE(openblas_threads(), 1);
}

TEST(Process, KeepsTheInstructionSetTheUserChose) {
  setenv("ATEN_CPU_CAPABILITY", "default", 1);
  tune_process(1);
  EXPECT_STREQ(getenv("ATEN_CPU_CAPABILITY"), "default");
}

TEST(Process, TakesDenormalNumbersForZeroInThreadsToo) {
  tune_process(1);
  volatile double smallest = std::numeric_limits<double>::min(), half = -1;
  std::thread([&] { half = smallest / 2; }).join();
  EXPECT_EQ(half, 0);
  at::globalContext().setFlushDenormal(false);  // for the tests that follow
}

TEST(Process, PeakMemoryGrowsWithWhatIsTouched) {
  const std::uint64_t before = peak_memory_bytes();
  EXPECT_GT(before, 1u << 20);
  const std::vector<char> block(before + (64u << 20), 1);
  EXPECT_GE(peak_memory_bytes(), before + (32u << 20)) << block.size();
}

}  // namespace
}  // namespace starling::training
