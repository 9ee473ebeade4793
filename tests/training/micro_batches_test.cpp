#include <starling/training/micro_batches.hpp>

#include <c10/util/Exception.h>
#include <gmock/gmock.h>

#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <starling/base/error.hpp>

namespace starling::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

using Pieces = std::vector<std::pair<std::int64_t, std::int64_t>>;

TEST(MicroBatches, CoverABatchOnceAndInOrder) {
  const auto pieces_of = [](std::int64_t batch, std::int64_t sequences) {
    MicroBatches micro_batches(sequences);
    Pieces pieces;
    int begun = 0;
    micro_batches.run(
        batch, [&] { ++begun; }, [&](std::int64_t first, std::int64_t count) { pieces.emplace_back(first, count); });
    EXPECT_EQ(begun, 1);
    EXPECT_EQ(micro_batches.sequences(), sequences);
    return pieces;
  };
  EXPECT_THAT(pieces_of(8, 8), ElementsAre(Pair(0, 8)));
  EXPECT_THAT(pieces_of(8, 3), ElementsAre(Pair(0, 3), Pair(3, 3), Pair(6, 2)));
  EXPECT_THAT(pieces_of(2, 5), ElementsAre(Pair(0, 2)));
}

TEST(MicroBatches, AreHalvedAndBeginAgainWhereMemoryRunsOut) {
  MicroBatches micro_batches(12);
  Pieces done;
  const auto at_most_three_until_five = [&](std::int64_t first, std::int64_t count) {
    // The first pieces of six pass, then there is less room.
    if (count > 6 || (first > 0 && count > 3)) throw std::bad_alloc();
    done.emplace_back(first, count);
  };
  micro_batches.run(
      12, [&] { done.clear(); }, at_most_three_until_five);
  EXPECT_THAT(done, ElementsAre(Pair(0, 3), Pair(3, 3), Pair(6, 3), Pair(9, 3)));
  EXPECT_EQ(micro_batches.sequences(), 3);
  micro_batches.run(
      5, [&] { done.clear(); }, at_most_three_until_five);
  EXPECT_THAT(done, ElementsAre(Pair(0, 3), Pair(3, 2)));
}

TEST(MicroBatches, MakeRoomBeforeTheyBeginAgainAndOnlyThen) {
  std::string calls;
  MicroBatches micro_batches(4, [&] { calls += "room "; });
  for (int batch = 0; batch < 2; ++batch) {
    micro_batches.run(
        4, [&] { calls += "begin "; },
        [&](std::int64_t, std::int64_t count) {
          calls += std::to_string(count) + " ";
          if (count > 1) throw std::bad_alloc();
        });
  }
  EXPECT_EQ(calls, "begin 4 begin room 2 begin room 1 1 1 1 begin 1 1 1 1 ");
}

TEST(MicroBatches, HalveWhatTheBatchHasAndNotWhatIsAsked) {
  MicroBatches micro_batches(100);
  std::vector<std::int64_t> tried;
  micro_batches.run(
      5, [] {},
      [&](std::int64_t first, std::int64_t count) {
        if (first == 0) tried.push_back(count);
        if (count > 1) throw std::bad_alloc();
      });
  EXPECT_THAT(tried, ElementsAre(5, 3, 2, 1));
}

TEST(MicroBatches, EndWithTheReasonWhereOneSequenceDoesNotFit) {
  MicroBatches micro_batches(4);
  try {
    micro_batches.run(
        4, [] {}, [](std::int64_t, std::int64_t) { throw std::bad_alloc(); });
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("out of memory with micro-batches of one sequence: std::bad_alloc"));
  }
}

TEST(MicroBatches, LetOtherErrorsThrough) {
  MicroBatches micro_batches(4);
  const auto run = [&] {
    micro_batches.run(
        4, [] {}, [](std::int64_t, std::int64_t) { throw std::out_of_range("x"); });
  };
  EXPECT_THROW(run(), std::out_of_range);
  EXPECT_EQ(micro_batches.sequences(), 4);
}

TEST(OutOfMemory, IsKnownInAllWordsOfLibTorch) {
  const auto known = [](const std::string& words) {
    try {
      TORCH_CHECK(false, words);
    } catch (const std::exception& error) {
      return is_out_of_memory(error);
    }
    return false;
  };
  for (const char* words :
       {"DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes", "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "NVML_SUCCESS == r INTERNAL ASSERT FAILED at \"../c10/cuda/CUDACachingAllocator.cpp\":1015, please report a bug"}) {
    EXPECT_TRUE(known(words)) << words;
  }
  for (const char* words : {"CUDA error: an illegal memory access was encountered", "mat1 and mat2 shapes cannot be multiplied",
                            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasGemmEx`"}) {
    EXPECT_FALSE(known(words)) << words;
  }
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  EXPECT_TRUE(is_out_of_memory(std::runtime_error("CUDA refuses a kernel: out of memory")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("CUDA error: out of memory")));
}

}  // namespace
}  // namespace starling::training
