#include <starling/tasks/windows.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace starling::tasks {
namespace {

using Sizes = std::vector<std::int64_t>;

std::vector<Window> windows_of(const TrainingWindows& windows, std::uint64_t seed, std::int64_t step, std::int64_t sequences) {
  std::vector<Window> all;
  windows.batch(seed, step, sequences, [&](const Window& window) { all.push_back(window); });
  return all;
}

TEST(TrainingWindows, OfAnEpochAreEachThereOnceInAnOrderOfItsOwn) {
  const Sizes sizes{100, 1, 17, 0, 5, 2, 64};
  const TrainingWindows windows(sizes, 8);
  // (100 − 8) / 8, none, 1, none, 1 short, 1 short, 7.
  ASSERT_EQ(windows.per_epoch(), 11 + 1 + 1 + 1 + 7);
  std::set<std::int64_t> phases;
  std::vector<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    std::map<std::size_t, std::set<std::int64_t>> begins;
    auto& order = orders.emplace_back();
    for (const auto& window : windows_of(windows, 3, epoch, windows.per_epoch())) {
      EXPECT_GE(window.begin, 0);
      EXPECT_LE(window.begin + window.values, sizes[window.recording]);
      EXPECT_EQ(window.values, std::min<std::int64_t>(9, sizes[window.recording]));
      EXPECT_TRUE(begins[window.recording].insert(window.begin).second);
      order.push_back(static_cast<std::int64_t>(window.recording) * 1000 + window.begin);
    }
    EXPECT_EQ(begins[0].size(), 11u);
    EXPECT_EQ(begins[6].size(), 7u);
    EXPECT_EQ(begins[4], std::set<std::int64_t>{0});
    EXPECT_EQ(begins[5], std::set<std::int64_t>{0});
    for (const std::int64_t begin : begins[0]) EXPECT_EQ(begin % 8, *begins[0].begin() % 8);
    phases.insert(*begins[0].begin());
    EXPECT_FALSE(std::ranges::is_sorted(order));
  }
  EXPECT_GT(phases.size(), 4u);
  EXPECT_NE(orders[0], orders[1]);
}

TEST(TrainingWindows, PredictEveryValueButTheFirstInOneEpochOrAnother) {
  for (const std::int64_t size : {2, 8, 9, 10, 15, 16, 17, 23, 24, 25, 31, 100}) {
    const TrainingWindows windows({size}, 8);
    std::set<std::int64_t> predicted;
    for (const auto& window : windows_of(windows, 4, 0, 300 * windows.per_epoch())) {
      for (std::int64_t i = 1; i < window.values; ++i) predicted.insert(window.begin + i);
    }
    EXPECT_EQ(predicted.size(), static_cast<std::size_t>(size - 1)) << size;
    EXPECT_EQ(*predicted.rbegin(), size - 1);
  }
}

TEST(TrainingWindows, OfABatchAreASliceOfOneEndlessOrder) {
  const TrainingWindows windows({40, 30}, 8);
  const auto same = [](const std::vector<Window>& a, const std::vector<Window>& b) {
    return std::ranges::equal(a, b, [](const Window& x, const Window& y) { return x.recording == y.recording && x.begin == y.begin; });
  };
  const auto thirty = windows_of(windows, 9, 0, 30);  // several epochs
  ASSERT_EQ(thirty.size(), 30u);
  for (const std::int64_t step : {5, 0, 9}) {
    const auto begin = thirty.begin() + 3 * step;
    EXPECT_TRUE(same(windows_of(windows, 9, step, 3), {begin, begin + 3})) << step;
  }
  EXPECT_FALSE(same(windows_of(windows, 10, 0, 30), thirty));
}

TEST(HeldOutWindows, PredictEveryValueButTheFirstOfEachRecordingOnceAndInOrder) {
  for (const std::int64_t length : {1, 4, 8, 100}) {
    const Sizes sizes{20, 0, 1, 2, 9, 17};
    const HeldOutWindows windows(sizes, length, 0);
    std::vector<std::pair<std::size_t, std::int64_t>> predicted, expected;
    for (std::int64_t i = 0; i < windows.size(); ++i) {
      const Window window = windows[i];
      EXPECT_LE(window.predicted(), length);
      for (std::int64_t k = 1; k < window.values; ++k) predicted.emplace_back(window.recording, window.begin + k);
    }
    for (std::size_t recording = 0; recording < sizes.size(); ++recording) {
      for (std::int64_t k = 1; k < sizes[recording]; ++k) expected.emplace_back(recording, k);
    }
    EXPECT_EQ(predicted, expected);
    EXPECT_EQ(windows.predicted(), std::ssize(expected));
  }
}

TEST(HeldOutWindows, UnderACapAreSpreadAndPredictNoMore) {
  const Sizes one{1000};
  for (const std::int64_t cap : {1, 8, 50, 333, 998}) {
    const HeldOutWindows windows(one, 8, cap);
    std::int64_t predicted = 0;
    std::set<std::int64_t> begins;
    for (std::int64_t i = 0; i < windows.size(); ++i) {
      predicted += windows[i].predicted();
      begins.insert(windows[i].begin);
    }
    EXPECT_EQ(predicted, cap);
    EXPECT_EQ(windows.predicted(), cap);
    EXPECT_EQ(std::ssize(begins), windows.size());
    if (windows.size() > 4) {
      EXPECT_GT(*begins.rbegin(), 700);
    }
  }
  EXPECT_EQ(HeldOutWindows(one, 8, 999).predicted(), 999);
  EXPECT_EQ(HeldOutWindows(one, 8, 1'000'000).predicted(), 999);
  // Of several recordings too, whose last windows may be short.
  const Sizes several{12, 30, 3, 25, 9};
  for (std::int64_t cap = 1; cap < 80; ++cap) {
    const HeldOutWindows windows(several, 8, cap);
    std::int64_t predicted = 0;
    for (std::int64_t i = 0; i < windows.size(); ++i) {
      EXPECT_GE(windows[i].predicted(), 1);
      EXPECT_LE(windows[i].begin + windows[i].values, several[windows[i].recording]);
      predicted += windows[i].predicted();
    }
    EXPECT_EQ(windows.predicted(), predicted);
    EXPECT_LE(predicted, cap);
  }
}

}  // namespace
}  // namespace starling::tasks
