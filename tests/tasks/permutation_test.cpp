#include <starling/tasks/permutation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace starling::tasks {
namespace {

Permutation permutation(std::uint64_t size, std::uint64_t seed) {
  Stream stream(seed, Purpose::test, size);
  return {size, stream};
}

TEST(Permutation, IsABijectionAtEverySize) {
  for (std::uint64_t size = 1; size <= 300; ++size) {
    const Permutation order = permutation(size, 7);
    std::vector<bool> hit(size, false);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t image = order(i);
      ASSERT_LT(image, size);
      ASSERT_FALSE(hit[image]) << "size " << size << ": " << image << " twice";
      hit[image] = true;
    }
  }
}

TEST(Permutation, IsABijectionOfAMillionAndReachesBeyondThirtyTwoBits) {
  const std::uint64_t size = 1'000'003;
  const Permutation order = permutation(size, 1);
  std::vector<bool> hit(size, false);
  for (std::uint64_t i = 0; i < size; ++i) hit[order(i)] = true;
  EXPECT_TRUE(std::ranges::all_of(hit, [](bool there) { return there; }));

  const Permutation large = permutation(std::uint64_t{1} << 40, 1);
  EXPECT_LT(large(12345), std::uint64_t{1} << 40);
  EXPECT_NE(large(0), large(1));
}

TEST(Permutation, MapsEveryPositionEverywhereEquallyOften) {
  // χ² of where position i goes over 4,800 keys, 24 degrees of freedom per position summed over 25: mean 600, σ ≈ 35.
  constexpr std::uint64_t size = 25;
  constexpr int keys = 4800;
  std::vector<double> count(size * size, 0);
  for (int key = 0; key < keys; ++key) {
    const Permutation order = permutation(size, 1000 + static_cast<std::uint64_t>(key));
    for (std::uint64_t i = 0; i < size; ++i) ++count[i * size + order(i)];
  }
  double chi_squared = 0;
  for (const double c : count) chi_squared += std::pow(c - keys / 25.0, 2) / (keys / 25.0);
  EXPECT_GT(chi_squared, 450);
  EXPECT_LT(chi_squared, 750);
}

TEST(Permutation, DependsOnTheKeyAlone) {
  const Permutation a = permutation(1000, 3);
  const Permutation b = permutation(1000, 3);
  const Permutation c = permutation(1000, 4);
  int equal = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(a(i), b(i));
    equal += a(i) == c(i);
  }
  EXPECT_LT(equal, 20);
}

}  // namespace
}  // namespace starling::tasks
