#include <starling/kernels/dropout_device.hpp>

#include "support.hpp"

#include <starling/base/stream_key.hpp>

namespace starling::kernels {
namespace {

class DropoutTest : public AtEachEngine {};

/// Number by number from a stream, as the contract says it.
Numbers expected(const Dropout<double>& a, std::uint64_t seed, std::uint32_t place) {
  Numbers y;
  for (std::int64_t s = 0; s < a.sequences; ++s) {
    Stream stream(seed, Purpose::dropout, static_cast<std::uint64_t>(a.first_sequence + s), place);
    std::uint32_t word = 0;
    for (std::int64_t e = 0; e < a.elements; ++e) {
      if (e % 2 == 0) word = stream();
      y.push_back((e % 2 == 0 ? word & 0xffff : word >> 16) < a.threshold ? 0 : a.x[s * a.elements + e] * a.scale);
    }
  }
  return y;
}

TEST_P(DropoutTest, TakesTheBitsOfItsStream) {
  for (const std::int64_t elements : {1, 2, 7, 8, 9, 100, 2051}) {
    Stream stream = test_stream(static_cast<std::uint64_t>(elements));
    const auto x = as<double>(normal_numbers(stream, 3 * elements));
    std::vector<double> y(x.size());
    const auto key = stream_key(12345678901234u, Purpose::dropout, 3);
    const Dropout<double> call{.x = x.data(),
                               .y = y.data(),
                               .sequences = 3,
                               .elements = elements,
                               .first_sequence = 5'000'000'000,
                               .key = {key[0], key[1]},
                               .threshold = 20000,
                               .scale = 1.25};
    kernel(call);
    EXPECT_EQ(numbers_of(y), expected(call, 12345678901234u, 3)) << elements;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, DropoutTest, ::testing::ValuesIn(engines()), engine_label);

}  // namespace
}  // namespace starling::kernels
