#include <starling/tasks/column_file.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include <starling/base/error.hpp>
#include <starling/tasks/csv.hpp>

#include "compressed.hpp"
#include "hdf5_file.hpp"
#include "support/temporary_folder.hpp"

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Names = std::vector<std::string>;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

// NaN equals NaN here.
void expect_values(const ColumnValues& found, std::int64_t rows, const std::vector<double>& expected) {
  EXPECT_EQ(found.rows, rows);
  ASSERT_EQ(found.values.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(found.values[i] == expected[i] || (std::isnan(found.values[i]) && std::isnan(expected[i])))
        << i << ": " << found.values[i] << " and " << expected[i];
  }
}

class Columns : public ::testing::Test {
 protected:
  std::vector<std::vector<std::string>> rows(const std::string& text) {
    CsvReader reader(folder_.write("rows.csv", text), "test");
    std::vector<std::vector<std::string>> all;
    for (std::vector<std::string> fields; reader.next(fields);) all.push_back(fields);
    return all;
  }

  ColumnValues read(const std::string& text, const Names& columns) { return open_csv(folder_.write("a.csv", text))->read(columns); }
  Names usual(const std::string& text) { return open_csv(folder_.write("a.csv", text))->usual(); }
  std::string read_error(const std::string& text, const Names& columns) {
    return error_of([&] { read(text, columns); });
  }

  TemporaryFolder folder_;
};

TEST_F(Columns, OfCsvComeInRowsOfFieldsAsRfc4180HasThem) {
  using Row = std::vector<std::string>;
  EXPECT_THAT(rows("a,b\r\n1, 2 \n\n\"x, \"\"y\"\"\nz\",\n"), ElementsAre(Row{"a", "b"}, Row{"1", "2"}, Row{"x, \"y\"\nz", ""}));
  EXPECT_THAT(rows("\xef\xbb\xbf"
                   "a,b\n1,2"),
              ElementsAre(Row{"a", "b"}, Row{"1", "2"}));
  EXPECT_THAT(rows("a\rb\rc"), ElementsAre(Row{"a"}, Row{"b"}, Row{"c"}));
  EXPECT_TRUE(rows("").empty());
  EXPECT_TRUE(rows("\n\n").empty());
}

TEST_F(Columns, OfCsvKeepTheirLinesAcrossQuotesAndBlocks) {
  std::string text = "a\n\n\"two\nlines\"\n";
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + "\r\n";
  CsvReader reader(folder_.write("long.csv", text), "test");
  std::vector<std::string> fields;
  std::vector<std::int64_t> lines;
  while (reader.next(fields)) lines.push_back(reader.line());
  ASSERT_EQ(lines.size(), 100'002u);
  EXPECT_EQ(lines[0], 1);
  EXPECT_EQ(lines[1], 4);
  for (std::size_t i = 2; i < lines.size(); ++i) ASSERT_EQ(lines[i], static_cast<std::int64_t>(i) + 3);
}

TEST_F(Columns, OfCsvWithAStrayQuoteAreRefusedWithItsLine) {
  EXPECT_THAT(error_of([&] { rows("a,b\n1,2\"3\n"); }), AllOf(HasSubstr("rows.csv:2: not CSV"), HasSubstr("quote")));
  EXPECT_THAT(error_of([&] { rows("a,b\n1,2\n\"3,4\n5,6\n"); }), HasSubstr("rows.csv:3: not CSV: a quote opens here that is not closed"));
  EXPECT_THAT(error_of([&] { rows("a,b\n\"1\n1\",\"2\n3,4\n"); }), HasSubstr("rows.csv:3: not CSV: a quote opens here"));
  EXPECT_THAT(error_of([&] { rows("a\n\"" + std::string(200'000, '1') + "\n2\n"); }), HasSubstr("rows.csv:2: not CSV: a quote opens here"));
  EXPECT_THAT(error_of([&] { rows("a,b\n\"1,2\n3,\"4\n"); }),
              AllOf(HasSubstr("rows.csv:3: not CSV: a quote stands inside a field"), HasSubstr("opens in line 2")));
}

TEST_F(Columns, OfCsvAreNamedByTheFirstRowUnlessItHoldsNumbersAlone) {
  expect_values(read("x,y\n1,2\n3,4\n", {"y"}), 2, {2, 4});
  expect_values(read("1,2\n3,4\n", {"2", "1"}), 2, {2, 1, 4, 3});
  expect_values(read("1,,2\n3,4,5\n", {"2"}), 2, {missing, 4});
  expect_values(read("1,x\n3,4\n", {"1"}), 1, {3});
}

TEST_F(Columns, OfCsvMayMissValues) {
  expect_values(read("x,y\n,1\nNaN,2\nna,3\nNULL,4\nnan,5\n\"\",6\n-7e-1,7\n+8,8\n1e-400,9\n", {"x"}), 9,
                {missing, missing, missing, missing, missing, missing, -0.7, 8, 0});
}

TEST_F(Columns, OfCsvMayMissValuesThatHaveASign) {
  expect_values(read("x,y\n-nan,1\n+NaN,2\n-NAN,3\n-nan(ind),4\n5,5\n", {"x"}), 5, {missing, missing, missing, missing, 5});
  EXPECT_EQ(usual("x,y\n-nan,1\n2,3\n"), (Names{"x", "y"}));
}

TEST_F(Columns, OfCsvThatStandAloneMissTheValuesOfBlankLinesButThoseAtTheEnd) {
  expect_values(read("\nx\n1\n\n \t\n2\n\n", {"x"}), 4, {1, missing, missing, 2});
  expect_values(read("x\r\n\r\n1\r\n\r\n2\r\n\r\n\r\n", {"x"}), 4, {missing, 1, missing, 2});
  expect_values(read("1\n\n2", {"1"}), 3, {1, missing, 2});
  expect_values(read("x\n\"1\"\n\n\"2\"\n\"\"\n", {"x"}), 4, {1, missing, 2, missing});
  // Lines that lie across the blocks in which a file is read.
  std::string text = "x\r\n";
  std::vector<double> values;
  for (int i = 0; i < 50'000; ++i) {
    text += i % 5 == 3 ? "\r\n" : std::to_string(i) + "\r\n";
    values.push_back(i % 5 == 3 ? missing : i);
  }
  expect_values(read(text, {"x"}), 50'000, values);
}

TEST_F(Columns, OfCsvRefuseWhatIsNoNumberWithItsLineAndColumn) {
  EXPECT_THAT(read_error("x,y\n1,2\n\n3,four\n", {"x", "y"}), AllOf(HasSubstr("a.csv:4: column 'y' holds 'four'"), HasSubstr("number")));
  expect_values(read("x,y\n1,2\n\n3,four\n", {"x"}), 2, {1, 3});
  for (const auto* const field : {"inf", "-Infinity", "1e999", "1 000", "1.5.2", "0x10", "+-1", "--1", "12a", "\"1,5\"", "-"}) {
    EXPECT_THAT(read_error(std::string("x,y\n1,2\n0,") + field + "\n", {"y"}), HasSubstr("a.csv:3: column 'y' holds '")) << field;
  }
}

TEST_F(Columns, OfCsvRefuseARowOfAnotherLength) {
  EXPECT_THAT(read_error("x,y\n1,2\n3\n", {"x"}), HasSubstr("a.csv:3: found 1 fields, expected 2"));
  EXPECT_THAT(read_error("x,y\n1,2\n3,4,5\n", {"x"}), HasSubstr("a.csv:3: found 3 fields, expected 2"));
}

TEST_F(Columns, OfCsvThatAreUsualHaveANameAndBeginWithANumber) {
  EXPECT_EQ(usual(",date,load,place,late,never\n0,2020-01-01,1.5,Rome,,\n1,2020-01-02,2.5,3,NA,\n2,2020-01-03,3.5,Oslo,7,\n"),
            (Names{"load", "late"}));
  EXPECT_EQ(usual("1,2\n3,4\n"), (Names{"1", "2"}));
  EXPECT_THAT(error_of([&] { usual("a;b\n1;2\n"); }), AllOf(HasSubstr("no column of"), HasSubstr("it has a;b"), HasSubstr("commas")));
  EXPECT_THAT(error_of([&] { usual(""); }), HasSubstr("has no rows"));
}

TEST_F(Columns, OfCsvThatDoNotExistAreToldWithTheNearestName) {
  EXPECT_THAT(read_error("load,price\n1,2\n", {"laod"}),
              AllOf(HasSubstr("task.columns"), HasSubstr("no column 'laod' (did you mean 'load'?)"), HasSubstr("it has load, price")));
  EXPECT_THAT(read_error("x,x\n1,2\n", {"x"}), HasSubstr("several columns 'x'"));
}

TEST_F(Columns, OfCompressedCsvAreTheSame) {
  const std::string text = "x,y\n1,2\n3,4\n";
  for (const auto& path : {folder_.write("b.csv.gz", gzip(text)), folder_.write("b.csv.zst", zstandard(text))}) {
    expect_values(open_columns(path)->read({"x", "y"}), 2, {1, 2, 3, 4});
  }
  EXPECT_THAT(error_of([&] { open_columns(folder_.write("b.parquet", "")); }), AllOf(HasSubstr("b.parquet"), HasSubstr(".hdf5")));
}

TEST_F(Columns, OfHdf5AreDatasetsOrChannelsOfOne) {
  const auto path = folder_ / "a.h5";
  {
    Hdf5File file(path);
    file.add("hours/load", {1, 2, missing}, {3});
    file.add("sensors", {10, 20, 30, 40, 50, 60}, {3, 2}, H5T_NATIVE_FLOAT);
    file.add("count", {7, 8, 9}, {3}, H5T_NATIVE_INT16);
    file.add("odd[1]", {4, 5, 6}, {3});
  }
  const auto file = open_columns(path);
  EXPECT_EQ(file->expand("sensors"), (Names{"sensors[0]", "sensors[1]"}));
  EXPECT_EQ(file->expand("sensors[1]"), Names{"sensors[1]"});
  EXPECT_EQ(file->expand("hours/load"), Names{"hours/load"});
  EXPECT_EQ(file->expand("odd[1]"), Names{"odd[1]"});
  expect_values(file->read({"sensors[1]", "hours/load", "count", "sensors[0]", "odd[1]"}), 3,
                {20, 1, 7, 10, 4, 40, 2, 8, 30, 5, 60, missing, 9, 50, 6});
  // What was expanded once stays as it is.
  EXPECT_EQ(series_columns({path}, {"sensors", "count"}), (Names{"sensors[0]", "sensors[1]", "count"}));
  EXPECT_EQ(series_columns({path}, {"sensors[0]", "sensors[1]", "count"}), (Names{"sensors[0]", "sensors[1]", "count"}));
}

TEST_F(Columns, OfHdf5AreReadInBlocksOfRows) {
  const auto path = folder_ / "long.h5";
  constexpr std::int64_t rows = 700'000;
  {
    std::vector<double> values(2 * rows);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
    Hdf5File(path).add("x", values, {rows, 2});
  }
  const auto values = open_hdf5(path)->read({"x[1]"});
  ASSERT_EQ(values.rows, rows);
  for (std::size_t i = 0; i < rows; ++i) ASSERT_EQ(values.values[i], static_cast<double>(2 * i + 1));
}

TEST_F(Columns, OfHdf5ThatAreNotThereAreToldWithWhatIs) {
  const auto path = folder_ / "a.h5";
  {
    Hdf5File file(path);
    file.add("load", {1, 2, 3}, {3});
    file.add("deep/er/sensors", {1, 2, 3, 4}, {2, 2});
    file.add("cube", std::vector<double>(8), {2, 2, 2});
    const h5::Handle text(H5Tcopy(H5T_C_S1), H5Tclose, "make a type");
    file.add("names", {}, {3}, text.get());
    file.add("high", {1, std::numeric_limits<double>::infinity()}, {2});
    // A circle of links ends.
    h5::check(H5Lcreate_hard(file.get(), "/", file.get(), "circle", H5P_DEFAULT, H5P_DEFAULT), "link");
    h5::check(H5Lcreate_soft("/nowhere", file.get(), "dangling", H5P_DEFAULT, H5P_DEFAULT), "link");
  }
  const auto file = open_hdf5(path);
  const auto expand_error = [&](const std::string& name) { return error_of([&] { file->expand(name); }); };
  EXPECT_THAT(error_of([&] { file->usual(); }),
              AllOf(HasSubstr("task.columns"), HasSubstr("deep/er/sensors (2 × 2)"), HasSubstr("load (3 rows)")));
  EXPECT_THAT(expand_error("laod"), AllOf(HasSubstr("no dataset 'laod' (did you mean 'load'?)"), HasSubstr("It has ")));
  EXPECT_THAT(expand_error("deep"), HasSubstr("no dataset 'deep'"));
  EXPECT_THAT(expand_error("dangling"), HasSubstr("no dataset 'dangling'"));
  EXPECT_THAT(expand_error("cube"), HasSubstr("'cube' of"));
  EXPECT_THAT(expand_error("cube"), HasSubstr("has 3 dimensions, expected numbers in one dimension or in two"));
  EXPECT_THAT(expand_error("names"), HasSubstr("holds no numbers"));
  EXPECT_THAT(expand_error("deep/er/sensors[2]"), HasSubstr("has 2 channels, counted from 0"));
  EXPECT_THAT(expand_error("load[0]"), HasSubstr("has one dimension"));
  EXPECT_THAT(error_of([&] { file->read({"load", "deep/er/sensors[0]"}); }), AllOf(HasSubstr("has 3 rows"), HasSubstr("has 2")));
  EXPECT_THAT(error_of([&] { file->read({"high"}); }), AllOf(HasSubstr("'high' holds an infinity in row 1"), HasSubstr("finite")));
}

TEST_F(Columns, OfASeriesAreNeitherNoneNorTooMany) {
  Hdf5File(folder_ / "none.h5").add("x", {}, {5, 0});
  EXPECT_THAT(error_of([&] { series_columns({folder_ / "none.h5"}, {"x"}); }), HasSubstr("no channel in x"));
  Hdf5File(folder_ / "many.h5").add("x", std::vector<double>(5000), {1, 5000});
  EXPECT_THAT(error_of([&] { series_columns({folder_ / "many.h5"}, {"x"}); }), HasSubstr("there are 5000, expected at most 4096"));
}

TEST_F(Columns, OfWhatIsNoHdf5AreRefused) {
  const auto path = folder_.write("a.h5", "x,y\n1,2\n");
  EXPECT_THAT(error_of([&] { open_columns(path); }), AllOf(HasSubstr("task.files"), HasSubstr("a.h5"), HasSubstr("signature")));
}

TEST_F(Columns, OfASeriesAreInEveryFile) {
  const auto a = folder_.write("a.csv", "day,load,price\nMonday,1,2\n");
  const auto b = folder_.write("b.csv", "price,load,day\n1,2,Tuesday\n");
  const auto c = folder_.write("c.csv", "load,cost\n1,2\n");
  EXPECT_EQ(series_columns({a, b}, {}), (Names{"load", "price"}));
  EXPECT_THAT(error_of([&] { series_columns({a, b, c}, {}); }), AllOf(HasSubstr("c.csv' has no column 'price'"), HasSubstr("load, cost")));
  EXPECT_THAT(error_of([&] { series_columns({a}, {"load", "load"}); }), HasSubstr("'load' is there twice"));
  Hdf5File(folder_ / "d.h5").add("x", {1, 2}, {1, 2});
  Hdf5File(folder_ / "e.h5").add("x", {1, 2, 3}, {1, 3});
  EXPECT_THAT(error_of([&] {
                series_columns({folder_ / "d.h5", folder_ / "e.h5"}, {"x"});
              }),
              AllOf(HasSubstr("e.h5' has the columns x[0], x[1], x[2]"), HasSubstr("d.h5' has x[0], x[1]")));
}

}  // namespace
}  // namespace starling::tasks
