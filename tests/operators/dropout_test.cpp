#include <starling/operators/functions/dropout.hpp>

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include <starling/base/random.hpp>

#include "torch_support.hpp"

namespace starling::operators {
namespace {

at::Tensor mask(std::int64_t sequences, std::int64_t length, std::int64_t width, const Dropout& noise, at::ScalarType type = at::kFloat) {
  return dropout(at::ones({sequences, length, width}, type), noise);
}

TEST(Dropout, KeepsItsShareAndTheMean) {
  for (const double probability : {0.01, 0.1, 0.5, 0.9}) {
    const auto y = mask(8, 128, 128, {.probability = probability, .seed = 3}, at::kDouble);
    const auto elements = static_cast<double>(y.numel());
    const double dropped = y.eq(0).sum().item<double>() / elements;
    EXPECT_NEAR(dropped, probability, 5 * std::sqrt(probability * (1 - probability) / elements) + 1e-5);
    EXPECT_NEAR(y.max().item<double>(), 1 / (1 - probability), 2e-3 / (1 - probability));
    EXPECT_TRUE(y.eq(0).logical_or(y.eq(y.max())).all().item<bool>());
  }
}

TEST(Dropout, TreatsElementsAlikeWhateverTheirPlace) {
  // Every second element has another half of its word: both halves, all sequences and all channels drop their share.
  const auto dropped = mask(16, 64, 63, {.probability = 0.3, .seed = 4}, at::kDouble).eq(0).to(at::kDouble);
  for (const std::int64_t dimension : {0, 1, 2}) {
    std::vector<std::int64_t> others;
    for (std::int64_t i = 0; i < 3; ++i) {
      if (i != dimension) others.push_back(i);
    }
    const auto shares = dropped.mean(others);
    const auto deviation = std::sqrt(0.3 * 0.7 * static_cast<double>(dropped.size(dimension)) / static_cast<double>(dropped.numel()));
    EXPECT_LT((shares - 0.3).abs().max().item<double>(), 5 * deviation) << dimension;
  }
}

TEST(Dropout, DependsOnSeedPlaceAndSequenceAlone) {
  const Dropout noise{.probability = 0.4, .seed = 5, .place = 2, .first_sequence = 10};
  const auto all = mask(6, 7, 5, noise);
  EXPECT_TRUE(all.equal(mask(6, 7, 5, noise)));
  EXPECT_TRUE(all.equal(at::cat({mask(2, 7, 5, noise), mask(4, 7, 5, {0.4, 5, 2, 12})})));
  EXPECT_TRUE(all.equal(mask(6, 7, 5, noise, at::kDouble).to(at::kFloat)));
  EXPECT_FALSE(all.equal(mask(6, 7, 5, {0.4, 6, 2, 10})));
  EXPECT_FALSE(all.equal(mask(6, 7, 5, {0.4, 5, 3, 10})));
  EXPECT_FALSE(all.equal(mask(6, 7, 5, {0.4, 5, 2, 11})));
}

TEST(Dropout, IsPinned) {
  const auto y = mask(1, 1, 16, {.probability = 0.5, .seed = 1, .place = 1, .first_sequence = 1});
  std::string pattern;
  for (std::int64_t i = 0; i < 16; ++i) pattern += y[0][0][i].item<double>() == 0 ? '0' : '1';
  EXPECT_EQ(pattern, "1010100011001111");
}

TEST(Dropout, SendsBackWhatItLetThrough) {
  Stream stream(6, Purpose::test);
  auto x = reference::random_tensor({3, 4, 5}, stream).set_requires_grad(true);
  const auto weights = reference::random_tensor({3, 4, 5}, stream);
  const Dropout noise{.probability = 0.3, .seed = 7};
  EXPECT_LT(reference::check_gradients([&] { return (dropout(x, noise) * weights).sum(); }, {x}).largest, 1e-8);
}

TEST(Dropout, WithTheSmallestAndTheLargestProbabilityIsFinite) {
  EXPECT_EQ(mask(1, 4, 4, {.probability = 1e-9, .seed = 1}).max().item<float>(), static_cast<float>(65536.0 / 65535));
  EXPECT_LE(mask(4, 400, 400, {.probability = 0.9999999, .seed = 1}).max().item<float>(), 65536.F);
}

}  // namespace
}  // namespace starling::operators
