#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "text.hpp"

namespace starling::tools {
namespace {

TEST(Text, GroupsDigitsByThree) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(84934656), "84,934,656");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(grouped(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(Text, WritesADashForWhatIsNoNumber) {
  EXPECT_EQ(fixed(1.23456, 2), "1.23");
  EXPECT_EQ(fixed(std::nan(""), 2), "–");
  EXPECT_EQ(fixed(INFINITY, 2), "–");
}

TEST(Text, JoinsPiecesInLinesThatFit) {
  EXPECT_EQ(joined({"ab", "cdé", "f"}, " · ", 9), "ab · cdé\nf\n");
  EXPECT_EQ(joined({"ab", "cdé", "f"}, " · ", 12), "ab · cdé · f\n");
  EXPECT_EQ(joined({"longer than that", "f"}, ", ", 4), "longer than that\nf\n");
  EXPECT_EQ(joined({}, ", ", 4), "\n");
}

TEST(Text, ScalesByThousands) {
  EXPECT_EQ(byte_size(0), "0 B");
  EXPECT_EQ(byte_size(999), "999 B");
  EXPECT_EQ(byte_size(1500), "1.5 kB");
  EXPECT_EQ(byte_size(999'960), "1.0 MB");
  EXPECT_EQ(si(2e15), "2.0 P");
}

TEST(Text, TellsDurations) {
  EXPECT_EQ(duration(3.21), "3.2 s");
  EXPECT_EQ(duration(125), "2 min 5 s");
  EXPECT_EQ(duration(3725), "1 h 2 min");
}

TEST(Table, AlignsColumnsByCodePoints) {
  Table table({{"a", Table::Align::left}, {"b"}});
  table.add({"é–", "1"});
  table.add({"x", "12"});
  table.rule();
  table.add({"longer", "3"});
  EXPECT_EQ(table.text(),
            "a        b\n"
            "──────────\n"
            "é–       1\n"
            "x       12\n"
            "──────────\n"
            "longer   3\n");
}

}  // namespace
}  // namespace starling::tools
