#include <starling/training/micro_batches.hpp>

#include <gmock/gmock.h>

#include <new>
#include <stdexcept>
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

}  // namespace
}  // namespace starling::training
