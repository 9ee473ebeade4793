// Architectures as strips and as pictures.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include <starling/base/random.hpp>
#include <starling/genome/variation.hpp>

#include "architecture.hpp"
#include "strip_picture.hpp"

namespace starling::tools {
namespace {

const auto& liquid = genome::Catalogue::liquid();

std::string picture(std::string_view text, bool coloured = false) { return strip_picture(liquid, genome::parse_genome(text), coloured); }

TEST(Strip, HasALetterPerLivThatIsThere) {
  const auto of = [](std::string_view text) { return strip(liquid, genome::parse_genome(text)); };
  EXPECT_EQ(of("11111-81111-41111-61111-17.1.1.1.1"), "AMRCR");
  EXPECT_EQ(of("1111101-8111110-4111111-01111-6111110-81111"), "A~(MR~C)M");
  EXPECT_EQ(of("1111110-8111110-1111120-8111120"), "(AM)(AM)");
}

TEST(StripPicture, ShowsOrderPathsRoutesAndSharing) {
  EXPECT_EQ(picture("1121211-81111-1121210-8111110-6111110-01111-8111101-1121310"),
            "LIV       1   2   3   6   7\n"
            "         ─A1~─M8─┬A1──M8~─A1─\n"
            "                 ├M8\n"
            "                 └C6\n"
            "weights   ●───────○───────○\n"
            "reads     ●───────○───────○\n"
            "A1 SA-1 · M8 GMemless · C6 GConv-1 · ┬ in parallel · ~ routed\n"
            "● owner, ○ shares, ◉ both\n");
}

TEST(StripPicture, OfSeveralStandCloseTogetherWithOneLegend) {
  EXPECT_EQ(strip_pictures(liquid,
                           {{"39", genome::parse_genome("1121211-81111-1121210-8111110-6111110-01111-8111101-1121310")},
                            {"7", genome::parse_genome("17.1.1.1.1-81111")}},
                           false),
            "39       ─A1~─M8─┬A1──M8~─A1─\n"
            "                 ├M8\n"
            "                 └C6\n"
            "weights   ●───────○───────○\n"
            "reads     ●───────○───────○\n"
            "7        ─R17──M8──\n"
            "A1 SA-1 · M8 GMemless · C6 GConv-1 · R17 Rec-1-Diff · ┬ in parallel · ~ routed\n"
            "● owner, ○ shares, ◉ both\n");
}

TEST(StripPicture, OfPlainChainsIsOneLine) {
  EXPECT_EQ(picture("17.1.1.1.1-81111"),
            "LIV       1    2\n"
            "         ─R17──M8──\n"
            "R17 Rec-1-Diff · M8 GMemless\n");
}

TEST(StripPicture, PutsGroupsThatDoNotOverlapOnOneLineAndOthersBelow) {
  EXPECT_EQ(picture("81211-81211-82211-41211-82211-41211"),
            "LIV       1   2   3   4   5   6\n"
            "         ─M8──M8──M8──R4──M8──R4─\n"
            "weights   ●───○   ●───────○\n"
            "weights               ●───────○\n"
            "M8 GMemless · R4 Rec-1 · ● owner, ○ shares, ◉ both\n");
}

TEST(StripPicture, TellsWhereAMemberStandsBesideItsOwner) {
  EXPECT_EQ(picture("1111210-1111210-11112"),
            "LIV       1   3\n"
            "         ┬A1──A1─\n"
            "         └A1\n"
            "reads     ◉───○\n"
            "A1 SA-1 · ┬ in parallel · ● owner, ○ shares, ◉ both\n");
}

TEST(StripPicture, GoesOnFurtherDownWithTheGroupsThatDo) {
  std::string text = "11112";
  for (int i = 0; i < 17; ++i) text += "-81111";
  const auto drawn = picture(text + "-11112");
  EXPECT_EQ(drawn.substr(0, drawn.find('\n')), "LIV       1   2   3   4   5   6   7   8   9   10  11  12  13  14  15  16  17");
  EXPECT_NE(drawn.find("reads     ●──────────────────────────────────────────────────────────────────\n\nLIV       18  19\n"),
            std::string::npos)
      << drawn;
  EXPECT_NE(drawn.find("         ─M8──A1─\nreads    ─────○\n"), std::string::npos) << drawn;
}

TEST(StripPicture, MarksClassesThatSegmentsMake) {
  EXPECT_EQ(picture("11111:00200-11111-81111:00050"),
            "LIV       1    2    3\n"
            "         ─A1*──A1───M9──\n"
            "A1* SA-1* · A1 SA-1 · M9 GMemless-2\n");
}

TEST(StripPicture, IsColouredOnlyWhereAsked) {
  EXPECT_EQ(picture("11111-81111").find('\x1b'), std::string::npos);
  auto coloured = picture("11111-81111", true);
  EXPECT_NE(coloured.find("\x1b[34mA1\x1b[0m"), std::string::npos);
  for (const std::string escape : {"\x1b[34m", "\x1b[33m", "\x1b[0m"}) {
    for (auto at = coloured.find(escape); at != std::string::npos; at = coloured.find(escape)) coloured.erase(at, escape.size());
  }
  EXPECT_EQ(coloured, picture("11111-81111"));
}

TEST(StripPicture, IsNeverWiderThanEightyColumns) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < 300; ++i) {
    genome::Space space;
    space.depth = 2 + stream.below(70);
    space.paths = space.routes = space.variable_depth = true;
    std::istringstream lines(strip_picture(liquid, genome::sample(space, stream), false));
    for (std::string line; std::getline(lines, line);) {
      const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
      ASSERT_LE(columns, 80) << line;
    }
  }
}

}  // namespace
}  // namespace starling::tools
