#include <starling/tasks/series.hpp>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/series_data.hpp>

#include "support/temporary_folder.hpp"

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<float> values(const at::Tensor& tensor) {
  const auto rows = tensor.contiguous();
  return {rows.data_ptr<float>(), rows.data_ptr<float>() + rows.numel()};
}

// NaN equals NaN here.
bool same(const at::Tensor& a, const at::Tensor& b) { return a.sizes() == b.sizes() && a.nan_to_num(1e9).equal(b.nan_to_num(1e9)); }

/// Three files of two columns whose values say where they stand: file · 1000 + row, and its negative; some are missing.
class Series : public ::testing::Test {
 protected:
  static constexpr std::int64_t rows[] = {200, 90, 11};

  Series() { write(0); }

  static bool is_missing(std::int64_t file, std::int64_t row, std::int64_t column) { return (file * 7 + row * 3 + column * 5) % 11 == 0; }

  /// `shift` moves the rows that no training part holds.
  void write(double shift) {
    for (std::int64_t file = 0; file < 3; ++file) {
      std::string text = "date,x,y\n";
      const std::int64_t training = rows[file] - rows[file] / 5 - rows[file] / 5;
      for (std::int64_t row = 0; row < rows[file]; ++row) {
        const double value = static_cast<double>(file * 1000 + row) + (row >= training ? shift : 0);
        text += "day " + std::to_string(row);
        text += ',';
        if (!is_missing(file, row, 0)) text += std::to_string(value);
        text += ',';
        text += is_missing(file, row, 1) ? "NaN" : std::to_string(-value);
        text += '\n';
      }
      folder_.write(std::to_string(file) + ".csv", text);
    }
  }

  /// The row that a normalised value stands for.
  double original(double value, std::size_t column) const {
    const auto scale = read_series(options_).scales[column];
    return value * scale.deviation + scale.mean;
  }

  std::string error() const {
    try {
      make_series(options_);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  SeriesOptions options_{.files = {folder_ / "*.csv"}, .sequence_length = 16, .validation_fraction = 0.2, .test_fraction = 0.2};
};

TEST_F(Series, HeldOutPartsPredictEveryValueThatIsThereOnce) {
  const auto task = make_series(options_);
  EXPECT_EQ(task->vocabulary(), 0);
  EXPECT_EQ(task->channels(), 2);
  for (const auto split : {Split::validation, Split::test}) {
    std::multiset<std::int64_t> expected;
    std::int64_t rows_there = 0;
    for (std::int64_t file = 0; file < 3; ++file) {
      const std::int64_t share = rows[file] / 5;
      const std::int64_t begin = rows[file] - (split == Split::validation ? 2 : 1) * share;
      for (std::int64_t row = begin + 1; row < begin + share; ++row) {
        ++rows_there;
        if (!is_missing(file, row, 0)) expected.insert(file * 1000 + row);
        if (!is_missing(file, row, 1)) expected.insert(-(file * 1000 + row));
      }
    }
    ASSERT_GT(rows_there, 50);
    ASSERT_LT(std::ssize(expected), 2 * rows_there);
    for (const std::int64_t sequences : {1, 3, 64}) {
      std::multiset<std::int64_t> predicted;
      std::int64_t counted = 0;
      for (std::int64_t i = 0; i < task->held_out_batches(split, sequences); ++i) {
        const Batch batch = task->held_out_batch(split, i, sequences);
        ASSERT_EQ(batch.inputs.sizes(), batch.targets.sizes());
        ASSERT_EQ(batch.inputs.sizes().slice(1), (at::IntArrayRef{16, 2}));
        counted += counted_targets(batch.targets);
        const auto targets = values(batch.targets);
        for (std::size_t t = 0; t < targets.size(); ++t) {
          if (!std::isnan(targets[t])) predicted.insert(std::llround(original(targets[t], t % 2)));
        }
      }
      EXPECT_EQ(predicted, expected);
      EXPECT_EQ(counted, std::ssize(expected));
    }
  }
}

TEST_F(Series, InputsAreTheRowsBeforeTheTargetsAndZeroWhereOneIsMissing) {
  const auto task = make_series(options_);
  std::int64_t missing = 0;
  const auto check = [&](const Batch& batch) {
    for (std::int64_t sequence = 0; sequence < batch.inputs.size(0); ++sequence) {
      const auto inputs = values(batch.inputs[sequence]);
      const auto targets = values(batch.targets[sequence]);
      for (std::size_t t = 0; t + 2 < inputs.size(); ++t) {
        if (std::isnan(targets[t])) {
          EXPECT_EQ(inputs[t + 2], 0);
          ++missing;
        } else if (t + 2 < inputs.size() && inputs[t + 2] != 0) {
          EXPECT_EQ(inputs[t + 2], targets[t]);
        }
      }
    }
  };
  check(task->training_batch(1, 0, 40));
  check(task->held_out_batch(Split::validation, 0, 40));
  EXPECT_GT(missing, 50);
}

TEST_F(Series, OfAnEpochShowEachWindowOnceAndNoneCrossesFiles) {
  const auto task = make_series(options_);
  // Training parts of 120, 54 and 7 rows; the last is shorter than a sequence, and padded.
  const std::int64_t windows = (120 - 16) / 16 + (54 - 16) / 16 + 1;
  std::set<std::int64_t> last_begins;
  for (std::int64_t epoch = 0; epoch < 10; ++epoch) {
    std::map<std::int64_t, std::int64_t> count;
    for (std::int64_t i = 0; i < windows; ++i) {
      const Batch batch = task->training_batch(5, epoch * windows + i, 1);
      const auto targets = values(batch.targets);
      std::int64_t file = -1, begin = -1, there = 0;
      for (std::size_t t = 0; t < targets.size(); ++t) {
        if (std::isnan(targets[t])) continue;
        ++there;
        const auto place = std::abs(std::llround(original(targets[t], t % 2)));
        const auto first = place - static_cast<std::int64_t>(t / 2);
        if (begin >= 0) {
          EXPECT_EQ(first, begin) << "rows follow each other";
        }
        begin = first;
        file = place / 1000;
        EXPECT_LT(place % 1000, file == 0 ? 120 : file == 1 ? 54 : 7) << "of training";
      }
      EXPECT_GT(there, file == 2 ? 8 : 24);
      ++count[begin];
    }
    EXPECT_EQ(std::ssize(count), windows) << "each once";
    last_begins.insert(count.begin()->first);
  }
  EXPECT_GT(last_begins.size(), 3u);
}

TEST_F(Series, DoNotTrainOnWhatIsHeldOut) {
  const auto before = make_series(options_);
  write(1e4);
  const auto after = make_series(options_);
  for (const std::int64_t step : {0, 3, 11}) {
    const Batch a = before->training_batch(2, step, 5), b = after->training_batch(2, step, 5);
    EXPECT_TRUE(same(a.inputs, b.inputs));
    EXPECT_TRUE(same(a.targets, b.targets));
  }
  EXPECT_FALSE(same(before->held_out_batch(Split::test, 0, 1).targets, after->held_out_batch(Split::test, 0, 1).targets));
}

TEST_F(Series, ATrainingBatchIsAFunctionOfSeedStepAndSizeAlone) {
  const auto task = make_series(options_);
  const auto again = make_series(options_);
  for (const std::int64_t step : {7, 0, 1000, 3}) {
    EXPECT_TRUE(same(task->training_batch(9, step, 5).targets, again->training_batch(9, step, 5).targets));
  }
  EXPECT_FALSE(same(task->training_batch(9, 0, 5).targets, task->training_batch(10, 0, 5).targets));
  const Batch six = task->training_batch(9, 0, 6);
  EXPECT_TRUE(same(task->training_batch(9, 1, 3).inputs, six.inputs.slice(0, 3, 6)));
}

TEST_F(Series, ReferencesAreMeasuredOverTheValidationTargets) {
  // Two validation parts: 5 and 7 with one missing in between, then 4 alone, which predicts nothing.
  options_ = {.files = {folder_ / "r*.csv"}, .sequence_length = 2, .validation_fraction = 0.4, .test_fraction = 0.1};
  folder_.write("r1.csv", "x\n1\n3\n1\n3\n1\n5\n7\nNA\n2\n9\n");
  const auto task = make_series(options_);
  // Training 1 3 1 3 1: mean 1.8, variance 0.96. Validation 5, 7, missing, 2: predicted are 7 and 2.
  const auto references = task->references();
  ASSERT_EQ(references.size(), 2u);
  EXPECT_EQ(references[0].name, "mean");
  EXPECT_NEAR(references[0].loss, (5.2 * 5.2 + 0.2 * 0.2) / 2 / 0.96, 1e-5);
  EXPECT_EQ(references[1].name, "last value");
  EXPECT_NEAR(references[1].loss, (2.0 * 2.0 + 5.0 * 5.0) / 2 / 0.96, 1e-5);
  EXPECT_TRUE(std::isnan(references[0].bits_per_byte));
}

TEST_F(Series, TheCapBoundsTheRowsThatAreScored) {
  options_.validation_tokens = 20;
  const auto task = make_series(options_);
  std::int64_t predicted = 0;
  for (std::int64_t i = 0; i < task->held_out_batches(Split::validation, 1); ++i) {
    const auto there = task->held_out_batch(Split::validation, i, 1).targets.isnan().logical_not().any(-1);
    predicted += there.sum().item<std::int64_t>();
  }
  EXPECT_GT(predicted, 10);
  EXPECT_LE(predicted, 20);
}

TEST_F(Series, TooShortForASequenceOrForValidationAreRefused) {
  options_.sequence_length = 120;
  EXPECT_THAT(error(), AllOf(HasSubstr("task.sequence_length = 120"), HasSubstr("has 120 rows"), HasSubstr("needs 121")));
  options_.sequence_length = 119;
  EXPECT_EQ(error(), "no error");
  options_.sequence_length = 16;
  options_.validation_fraction = 0.001;
  EXPECT_THAT(error(), HasSubstr("task.validation_fraction"));
  options_.sequence_length = 0;
  EXPECT_THAT(error(), HasSubstr("task.sequence_length"));
}

TEST_F(Series, SayWhatTheyHave) {
  EXPECT_THAT(make_series(options_)->summary(),
              AllOf(HasSubstr("3 files, 2 columns (x, y)"), HasSubstr("rows: 181 training, 60 validation, 60 test"), HasSubstr("missing")));
}

TEST(Targets, ThatCountAreThoseThatArePredicted) {
  EXPECT_EQ(counted_targets(at::full({2, 3}, 5, at::kLong)), 6);
  auto tokens = at::full({2, 3}, 5, at::kLong);
  tokens.select(1, 1).fill_(ignored);
  EXPECT_EQ(counted_targets(tokens), 4);
  auto numbers = at::zeros({2, 3, 2});
  numbers.select(1, 1).fill_(std::nan(""));
  EXPECT_EQ(counted_targets(numbers), 8);
  EXPECT_EQ(counted_targets(numbers.select(2, 0)), 4);
}

}  // namespace
}  // namespace starling::tasks
