#include <starling/kernels/convert_device.hpp>

#include "support.hpp"

#include <bit>

namespace starling::kernels {
namespace {

class ConvertTest : public AtEachEngine {};

/// Of the two neighbours of x in bfloat16 the nearer one, of equals the even one; from the definition, by doubles.
std::uint16_t nearest(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto below = static_cast<std::uint16_t>(bits >> 16);
  if ((bits & 0xffffu) == 0) return below;
  const auto above = static_cast<std::uint16_t>(below + 1);
  const auto value = [](std::uint16_t half) { return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16)); };
  // Beyond the largest number infinity stands for the next power of two.
  const double up = std::isinf(value(above)) ? std::copysign(0x1p128, x) : value(above);
  const double to_below = std::abs(static_cast<double>(x) - value(below)), to_above = std::abs(up - static_cast<double>(x));
  if (to_below != to_above) return to_below < to_above ? below : above;
  return below % 2 == 0 ? below : above;
}

std::vector<float> awkward_numbers() {
  std::vector<float> numbers{0.0f, -0.0f, 1.0f, -1.0f, 3.4e38f, -3.4e38f, 1e-45f, -1e-40f, 1.17549435e-38f, 3.0e-39f};
  for (const std::uint32_t high : {0x3f80u, 0x3f81u, 0xbf80u, 0x0001u, 0x7f7fu, 0xff7fu, 0x0080u})
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      numbers.push_back(std::bit_cast<float>(high << 16 | low));
  Stream stream = test_stream(1);
  while (numbers.size() < 5000) {
    const auto x = std::bit_cast<float>(stream());
    if (std::isfinite(x)) numbers.push_back(x);
  }
  return numbers;
}

TEST_P(ConvertTest, RoundsToTheNearestOfEqualsToTheEven) {
  const auto x = awkward_numbers();
  for (const std::int64_t count : {static_cast<std::int64_t>(x.size()), std::int64_t{7}}) {
    std::vector<bfloat16> y(x.size());
    kernel(Convert<float, bfloat16>{x.data(), y.data(), 1, count, 0, 0});
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      EXPECT_EQ(y[i].bits, nearest(x[i])) << x[i];
      EXPECT_EQ(bfloat16(x[i]).bits, nearest(x[i])) << x[i];
    }
  }
}

TEST_P(ConvertTest, WidensEveryNumberExactlyAndKeepsNaNAndInfinity) {
  std::vector<bfloat16> halves(1 << 16);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i].bits = static_cast<std::uint16_t>(i);
  std::vector<float> wide(halves.size());
  kernel(Convert<bfloat16, float>{halves.data(), wide.data(), 1, 1 << 16, 0, 0});
  std::vector<bfloat16> again(halves.size());
  kernel(Convert<float, bfloat16>{wide.data(), again.data(), 1, 1 << 16, 0, 0});
  for (std::size_t i = 0; i < halves.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), i << 16);
    if (std::isnan(wide[i])) {
      ASSERT_TRUE(std::isnan(static_cast<float>(again[i])) && std::isnan(static_cast<float>(bfloat16(wide[i]))));
    } else {
      ASSERT_EQ(again[i].bits, i);
    }
  }
  const float signalling = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(signalling))));
}

TEST_P(ConvertTest, WritesItsRowsAndNothingElse) {
  Stream stream = test_stream(2);
  for (const std::int64_t width : {1, 16, 21}) {
    const auto x = as<float>(normal_numbers(stream, 3 * (width + 2)));
    std::vector<bfloat16> y(static_cast<std::size_t>(3 * (width + 4)), bfloat16(9.0f));
    kernel(Convert<float, bfloat16>{x.data(), y.data(), 3, width, width + 2, width + 4});
    for (std::int64_t r = 0; r < 3; ++r)
      for (std::int64_t i = 0; i < width + 4; ++i)
        EXPECT_EQ(y[static_cast<std::size_t>(r * (width + 4) + i)].bits,
                  bfloat16(i < width ? x[static_cast<std::size_t>(r * (width + 2) + i)] : 9.0f).bits);
  }
}

TEST_P(ConvertTest, AddsAPartToAStream) {
  Stream stream = test_stream(3);
  for (const std::int64_t count : {1, 16, 37}) {
    const auto x = as<float>(normal_numbers(stream, count));
    const auto part = as<bfloat16>(normal_numbers(stream, count));
    std::vector<float> y = x;
    kernel(AddTo{x.data(), part.data(), y.data(), count});
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], x[i] + static_cast<float>(part[i]));
    auto in_place = x;
    kernel(AddTo{in_place.data(), part.data(), in_place.data(), count});
    EXPECT_EQ(in_place, y);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, ConvertTest, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
