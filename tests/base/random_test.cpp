#include <starling/base/random.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace starling {
namespace {

TEST(Philox, GivesThePublishedBlocks) {
  // Known answers of Random123 1.09 (kat_vectors, philox4x32 10).
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Stream, IsAFunctionOfItsKey) {
  Stream a(7, Purpose::mutation, 12, 3), b(7, Purpose::mutation, 12, 3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a(), b());
}

TEST(Stream, DiffersInEveryPartOfItsKey) {
  const auto first = [](Stream stream) { return stream.next64(); };
  std::set<std::uint64_t> values{first({7, Purpose::mutation, 12, 3}), first({8, Purpose::mutation, 12, 3}),
                                 first({7, Purpose::parents, 12, 3}),  first({7, Purpose::mutation, 13, 3}),
                                 first({7, Purpose::mutation, 12, 4}), first({7, Purpose::mutation, 12ull << 32, 3})};
  EXPECT_EQ(values.size(), 6u);
}

TEST(Stream, BelowIsUniform) {
  Stream stream(1, Purpose::test);
  std::vector<int> counts(7);
  constexpr int draws = 70000;
  for (int i = 0; i < draws; ++i) ++counts.at(stream.below(7));
  double chi_squared = 0;
  for (const int count : counts) chi_squared += std::pow(count - draws / 7.0, 2) / (draws / 7.0);
  EXPECT_LT(chi_squared, 22.5);  // 99.9 % point at 6 degrees of freedom
}

TEST(Stream, BelowOneIsZeroAndUniformStaysBelowOne) {
  Stream stream(1, Purpose::test);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(stream.below(1), 0u);
    const double u = stream.uniform();
    EXPECT_GE(u, 0.0);
    EXPECT_LT(u, 1.0);
  }
}

TEST(Stream, NormalHasUnitMoments) {
  Stream stream(3, Purpose::test);
  double sum = 0, squares = 0;
  constexpr int draws = 100000;
  for (int i = 0; i < draws; ++i) {
    const double x = stream.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / draws, 0, 0.015);
  EXPECT_NEAR(squares / draws, 1, 0.02);
}

}  // namespace
}  // namespace starling
