#include <gtest/gtest.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include <starling/operators/initialise.hpp>

namespace starling::operators {
namespace {

at::Tensor filled(const TensorSpec& spec, Rule rule = Rule::glorot, std::size_t depth = 6, at::ScalarType dtype = at::kFloat) {
  auto tensor = at::empty(spec.shape, at::TensorOptions().dtype(dtype));
  Stream stream(42, Purpose::initialisation, 3);
  initialise(tensor, spec, rule, depth, stream);
  return tensor;
}

double deviation(const at::Tensor& tensor) { return std::sqrt(tensor.pow(2).mean().item<double>()); }

TEST(NormalQuantile, HasThePublishedValues) {
  // Python's statistics.NormalDist().inv_cdf and tables.
  EXPECT_EQ(normal_quantile(0.5), 0.0);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(normal_quantile(0.25), -0.6744897501960817, 1e-14);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306167813, 1e-13);
  EXPECT_NEAR(normal_quantile(1e-10), -6.361340902404056, 1e-12);
  EXPECT_NEAR(normal_quantile(1e-20), -9.262340089798408, 1e-12);
}

TEST(NormalQuantile, IsOddAroundOneHalf) {
  for (const double p : {0.01, 0.07, 0.2, 0.4, 0.4999}) EXPECT_NEAR(normal_quantile(p), -normal_quantile(1.0 - p), 1e-13);
}

TEST(Initialise, HasTheDeviationOfItsRule) {
  // Bounds are four standard errors σ / √(2 n) and more.
  const TensorSpec projection{.name = "w", .shape = {300, 500}, .matrix = true};
  EXPECT_NEAR(deviation(filled(projection)), std::sqrt(2.0 / 800), 4e-4);
  EXPECT_NEAR(deviation(filled(projection, Rule::he)), std::sqrt(2.0 / 500), 5e-4);
  EXPECT_NEAR(filled(projection).mean().item<double>(), 0.0, 5e-4);
  const TensorSpec output{.name = "w", .shape = {300, 500}, .matrix = true, .fill = Fill::output};
  EXPECT_NEAR(deviation(filled(output, Rule::glorot, 8)), std::sqrt(2.0 / 800) / 4, 1e-4);
  const TensorSpec normal{.name = "e", .shape = {300, 500}, .fill = Fill::normal, .scale = 0.02};
  EXPECT_NEAR(deviation(filled(normal)), 0.02, 1.5e-4);
}

TEST(Initialise, StartsTheDecaysAtTheIntegersInEveryChannel) {
  const auto values = filled({.name = "A.log", .shape = {3, 16}, .fill = Fill::state_decay}, Rule::glorot, 6, at::kDouble);
  for (int channel = 0; channel < 3; ++channel) {
    for (int state = 0; state < 16; ++state) EXPECT_NEAR(values[channel][state].item<double>(), std::log(state + 1.0), 1e-14);
  }
}

TEST(Initialise, StartsTheStepsLogUniformlyBetweenAThousandthAndATenth) {
  const auto values = filled({.name = "A.bias", .shape = {4000}, .fill = Fill::step_bias}, Rule::glorot, 6, at::kDouble);
  const auto steps = values.exp().log1p();
  EXPECT_GT(steps.min().item<double>(), 0.000999);
  EXPECT_LT(steps.max().item<double>(), 0.100001);
  EXPECT_NEAR(steps.log().mean().item<double>(), std::log(0.01), 0.1);
}

TEST(Initialise, StartsStateSpacesAsS4DLin) {
  const auto half =
      filled({.name = "A.log", .shape = {32, 5}, .fill = Fill::constant, .scale = std::log(0.5)}, Rule::glorot, 6, at::kDouble);
  EXPECT_EQ(half.min().item<double>(), std::log(0.5));
  EXPECT_EQ(half.max().item<double>(), std::log(0.5));
  const auto turns = filled({.name = "A.imaginary", .shape = {32, 5}, .fill = Fill::harmonics}, Rule::glorot, 6, at::kDouble);
  const auto one = filled({.name = "B", .shape = {64, 5}, .fill = Fill::complex_one}, Rule::glorot, 6, at::kDouble);
  for (int channel = 0; channel < 5; ++channel) {
    for (int pair = 0; pair < 32; ++pair) {
      EXPECT_DOUBLE_EQ(turns[pair][channel].item<double>(), std::acos(-1.0) * pair);
      EXPECT_EQ(one[pair][channel].item<double>(), 1.0);
      EXPECT_EQ(one[32 + pair][channel].item<double>(), 0.0);
    }
  }
  const auto steps = filled({.name = "A.step", .shape = {4000}, .fill = Fill::log_step}, Rule::glorot, 6, at::kDouble);
  EXPECT_GE(steps.min().item<double>(), std::log(0.001));
  EXPECT_LE(steps.max().item<double>(), std::log(0.1));
  EXPECT_NEAR(steps.mean().item<double>(), std::log(0.01), 0.1);
}

TEST(Initialise, StartsGatedDecaysWithMemoriesFromTwoToAThousandTokens) {
  const auto values = filled({.name = "A.bias", .shape = {4000}, .fill = Fill::decay_bias}, Rule::glorot, 6, at::kDouble);
  const auto leaks = values.neg().sigmoid();
  EXPECT_GT(leaks.min().item<double>(), 0.000999);
  EXPECT_LT(leaks.max().item<double>(), 0.500001);
  EXPECT_NEAR(leaks.log().mean().item<double>(), 0.5 * (std::log(0.001) + std::log(0.5)), 0.12);
}

TEST(Initialise, KeepsUniformValuesWithinTheirScale) {
  const auto values = filled({.name = "taps", .shape = {500, 4}, .fill = Fill::uniform, .scale = 0.5});
  EXPECT_LE(values.abs().max().item<double>(), 0.5);
  EXPECT_NEAR(deviation(values), 0.5 / std::sqrt(3.0), 0.02);
}

TEST(Initialise, GivesTheSameNumbersInFloatAndDouble) {
  const TensorSpec projection{.name = "w", .shape = {20, 30}, .matrix = true};
  EXPECT_TRUE(filled(projection).equal(filled(projection, Rule::glorot, 6, at::kDouble).to(at::kFloat)));
}

}  // namespace
}  // namespace starling::operators
