#include <starling/tasks/series_data.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include <starling/base/error.hpp>

#include "hdf5_file.hpp"
#include "support/temporary_folder.hpp"

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SeriesFiles : public ::testing::Test {
 protected:
  /// A column "x" of these rows.
  void write(const std::string& name, const std::vector<double>& values) {
    std::string text = "x\n";
    for (const double value : values) text += (std::isnan(value) ? std::string("NaN") : std::to_string(value)) + "\n";
    folder_.write(name, text);
  }

  std::string error() const {
    try {
      read_series(options_);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  SeriesOptions options_{.files = {folder_ / "*"}, .sequence_length = 4, .validation_fraction = 0.2, .test_fraction = 0.3};
};

TEST_F(SeriesFiles, AreDividedInTimeEachByItself) {
  write("a.csv", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  write("b.csv", {10, 11, 12});
  const SeriesData data = read_series(options_);
  EXPECT_EQ(data.columns, std::vector<std::string>{"x"});
  // 30 % of 10 and of 3 are 3 and 0 rows of test, 20 % are 2 and 0 of validation.
  EXPECT_THAT(data.rows(Part::training), ElementsAre(5, 3));
  EXPECT_THAT(data.rows(Part::validation), ElementsAre(2, 0));
  EXPECT_THAT(data.rows(Part::test), ElementsAre(3, 0));
  const auto [mean, deviation] = data.scales[0];
  const auto value = [&](Part part, std::size_t file, std::int64_t row) { return *data.row(part, file, row) * deviation + mean; };
  EXPECT_NEAR(value(Part::training, 0, 0), 0, 1e-5);
  EXPECT_NEAR(value(Part::training, 0, 4), 4, 1e-5);
  EXPECT_NEAR(value(Part::validation, 0, 0), 5, 1e-5);
  EXPECT_NEAR(value(Part::test, 0, 0), 7, 1e-5);
  EXPECT_NEAR(value(Part::test, 0, 2), 9, 1e-5);
  EXPECT_NEAR(value(Part::training, 1, 2), 12, 1e-5);
}

TEST_F(SeriesFiles, AreNormalisedByTheTrainingRowsAlone) {
  const double missing = std::nan("");
  write("a.csv", {2, missing, 4, 6, 8, 100, 200, -300, missing, 500});
  write("b.csv", {10});
  const SeriesData data = read_series(options_);
  // Of 2, 4, 6, 8 and 10.
  EXPECT_DOUBLE_EQ(data.scales[0].mean, 6);
  EXPECT_DOUBLE_EQ(data.scales[0].deviation, std::sqrt(8.0));
  EXPECT_FLOAT_EQ(*data.row(Part::training, 0, 0), static_cast<float>(-4 / std::sqrt(8.0)));
  EXPECT_TRUE(std::isnan(*data.row(Part::training, 0, 1)));
  EXPECT_FLOAT_EQ(*data.row(Part::validation, 0, 0), static_cast<float>(94 / std::sqrt(8.0)));
  EXPECT_EQ(data.missing, 2);
}

TEST_F(SeriesFiles, WithAConstantColumnAreOnlyShifted) {
  for (const double value : {0.0, 0.1, -12345.678, 1e18}) {
    write("a.csv", {value, value, value, value, value, value, value + 1, value + 2, value, value});
    const SeriesData data = read_series(options_);
    EXPECT_EQ(data.scales[0].deviation, 1) << value;
    EXPECT_NEAR(*data.row(Part::training, 0, 0), 0, 1e-3) << value;
  }
}

TEST_F(SeriesFiles, KeepSmallChangesOfLargeValues) {
  Hdf5File(folder_ / "a.h5").add("x", {1.7e9 + 0, 1.7e9 + 1, 1.7e9 + 2, 1.7e9 + 3, 1.7e9 + 4, 0, 0, 0, 0, 0}, {10});
  options_.columns = {"x"};
  const SeriesData data = read_series(options_);
  for (std::int64_t row = 0; row < 5; ++row) {
    EXPECT_FLOAT_EQ(*data.row(Part::training, 0, row), static_cast<float>(static_cast<double>(row - 2) / std::sqrt(2.0)));
  }
}

TEST_F(SeriesFiles, ThatCannotBeNormalisedAreRefused) {
  const double missing = std::nan("");
  write("a.csv", {missing, missing, missing, missing, missing, 1, 2, 3, 4, 5});
  EXPECT_THAT(error(), AllOf(HasSubstr("task.columns"), HasSubstr("'x' has no value in the training part")));
  folder_.write("a.csv", "x\n1e300\n-1e300\n1e300\n0\n0\n0\n0\n0\n0\n0\n");
  EXPECT_THAT(error(), HasSubstr("too large"));
  folder_.write("a.csv", "x\n1e-30\n-1e-30\n0\n0\n0\n0\n0\n0\n0\n1e30\n");
  EXPECT_THAT(error(), HasSubstr("too far"));
}

}  // namespace
}  // namespace starling::tasks
