// The differentiable functions beneath the operators, where their own promises go beyond what the classes show.
#include <gtest/gtest.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include <starling/base/monarch.hpp>
#include <starling/operators/functions/cross_entropy.hpp>
#include <starling/operators/functions/differential.hpp>
#include <starling/operators/functions/gated_unit.hpp>
#include <starling/operators/functions/linear.hpp>
#include <starling/operators/functions/liquid_gate.hpp>
#include <starling/operators/functions/monarch.hpp>
#include <starling/operators/functions/product.hpp>
#include <starling/operators/functions/rms_norm.hpp>
#include <starling/operators/functions/tensors.hpp>

#include "reference.hpp"
#include "torch_support.hpp"

namespace starling::operators {
namespace {

using reference::check_gradients;
using reference::largest_difference;
using reference::random_tensor;

at::Tensor leaf(const std::vector<std::int64_t>& shape, Stream& stream) { return random_tensor(shape, stream).requires_grad_(true); }

/// Leaves that are neighbours in memory, as a model makes them.
Tensors neighbours(const std::vector<std::vector<std::int64_t>>& shapes, Stream& stream) {
  std::int64_t elements = 0;
  for (const auto& shape : shapes) elements += shape[0] * shape[1];
  const auto storage = random_tensor({elements}, stream);
  Tensors leaves;
  std::int64_t offset = 0;
  for (const auto& shape : shapes) {
    leaves.push_back(storage.narrow(0, offset, shape[0] * shape[1]).view(shape).detach().requires_grad_(true));
    offset += shape[0] * shape[1];
  }
  return leaves;
}

TEST(Project, IsOneProductPerWeightWhereverTheWeightsLie) {
  Stream stream(3, Purpose::test);
  const auto x = leaf({2, 3, 5}, stream);
  const auto together = neighbours({{4, 5}, {2, 5}, {3, 5}}, stream);
  const Tensors apart = {together[0].detach().clone(), together[1].detach().clone(), together[2].detach().clone()};
  // The middle one left out: first and last are no neighbours.
  const Tensors some = {together[0], together[2]};
  for (const auto* const weights : {&together, &apart, &some}) {
    const auto projected = project(x, *weights);
    ASSERT_EQ(projected.size(), weights->size());
    for (std::size_t i = 0; i < weights->size(); ++i) {
      EXPECT_LT(largest_difference(projected[i], at::matmul(x, (*weights)[i].t())), 1e-13);
    }
  }
}

TEST(Project, WritesNeighboursSideBySideSoThatTheyAreOneMatrix) {
  Stream stream(3, Purpose::test);
  const auto projected = project(leaf({2, 3, 5}, stream), neighbours({{4, 5}, {2, 5}}, stream));
  EXPECT_TRUE(continues_across(flat(projected[0]), flat(projected[1])));
  EXPECT_FALSE(continues_across(flat(projected[1]), flat(projected[0])));
}

TEST(Project, HasTheGradientOfCentralDifferencesWhicheverOutputsAreUsed) {
  Stream stream(4, Purpose::test);
  const auto x = leaf({2, 3, 5}, stream);
  const auto weights = neighbours({{4, 5}, {2, 5}, {3, 5}}, stream);
  Tensors factors;
  for (const auto& weight : weights) factors.push_back(random_tensor({2, 3, weight.size(0)}, stream));
  const std::vector<std::vector<std::size_t>> uses = {{0, 1, 2}, {0, 2}, {1}, {1, 2}};
  for (const auto& used : uses) {
    const auto scalar = [&] {
      const auto projected = project(x, weights);
      auto sum = (projected[used[0]] * factors[used[0]]).sum();
      for (std::size_t i = 1; i < used.size(); ++i) sum = sum + (projected[used[i]] * factors[used[i]]).sum();
      return sum;
    };
    EXPECT_LT(check_gradients(scalar, {x, weights[0], weights[1], weights[2]}).largest, 1e-8);
  }
}

TEST(Project, GivesNoGradientToAnInputThatWantsNone) {
  Stream stream(4, Purpose::test);
  const auto x = random_tensor({1, 2, 3}, stream);
  const auto weights = neighbours({{2, 3}}, stream);
  project(x, weights)[0].sum().backward();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_TRUE(weights[0].grad().defined());
}

TEST(Product, OverBfloat16IsSummedExactlyAndRoundedOnceWithInstructionsForItAndWithout) {
  Stream stream(21, Purpose::test);
  const auto rounded = [&](const std::vector<std::int64_t>& shape) { return random_tensor(shape, stream).to(at::kBFloat16); };
  // Of many terms: a sum kept in bfloat16 would stop growing.
  const auto left = rounded({17, 3000}), right = rounded({3000, 9}), start = rounded({17, 9});
  const auto batch = rounded({2, 4, 40}), of_batch = rounded({2, 40, 6});
  const auto row = rounded({1, 1000}), column = rounded({1000, 1});
  const auto exactly = left.to(at::kDouble).matmul(right.to(at::kDouble));
  const auto expect_rounded = [](const at::Tensor& found, const at::Tensor& expected, double roundings) {
    EXPECT_LT(largest_difference(found, expected), roundings * 0x1p-8 * expected.abs().max().item<double>());
  };
  for (const bool pretend : {false, true}) {
    pretend_no_bfloat16_products(pretend);
    expect_rounded(product(left, right), exactly, 1.01);
    expect_rounded(product(right.t(), left.t()), exactly.t(), 1.01);
    expect_rounded(product(row, column), row.to(at::kDouble).matmul(column.to(at::kDouble)), 1.01);
    const auto wide = at::zeros({17, 12}, at::kBFloat16);
    product_into(wide.narrow(1, 2, 9), left, right);
    expect_rounded(wide.narrow(1, 2, 9), exactly, 1.01);
    EXPECT_EQ(wide.narrow(1, 0, 2).abs().sum().item<double>() + wide.select(1, 11).abs().sum().item<double>(), 0);
    const auto sum = start.clone(), exact_sum = start.to(at::kFloat);
    add_product(sum, left, right);
    add_product(exact_sum, left, right);
    expect_rounded(sum, exactly + start.to(at::kDouble), 2.02);
    expect_rounded(exact_sum, exactly + start.to(at::kDouble), 1.01);
    expect_rounded(batched_product(batch, of_batch), batch.to(at::kDouble).bmm(of_batch.to(at::kDouble)), 1.01);
    const auto into = at::zeros({4, 2, 6}, at::kBFloat16);
    batched_product_into(into.transpose(0, 1), batch, of_batch);
    EXPECT_TRUE(into.transpose(0, 1).equal(batched_product(batch, of_batch)));
    EXPECT_EQ(product(left, right).scalar_type(), at::kBFloat16);
    EXPECT_EQ(batched_product(batch, of_batch).scalar_type(), at::kBFloat16);
  }
  pretend_no_bfloat16_products(false);
}

TEST(Product, OverBfloat16IsRightForAnyNumberOfTerms) {
  Stream stream(22, Purpose::test);
  for (std::int64_t terms = 1; terms <= 130; ++terms) {
    for (const std::int64_t rows : {3, 33, 65}) {
      for (const std::int64_t columns : {8, 80, 112}) {
        const auto left = random_tensor({terms, rows}, stream).to(at::kBFloat16).t();
        const auto right = random_tensor({terms, columns}, stream).to(at::kBFloat16);
        const auto exactly = left.to(at::kDouble).matmul(right.to(at::kDouble));
        const double bound = 1.01 * 0x1p-8 * exactly.abs().max().item<double>();
        ASSERT_LT(largest_difference(product(left, right), exactly), bound) << rows << " " << terms << " " << columns;
        ASSERT_LT(largest_difference(batched_product(left.unsqueeze(0), right.unsqueeze(0))[0], exactly), bound) << terms;
      }
    }
  }
}

TEST(AddProjection, HasTheGradientOfCentralDifferences) {
  Stream stream(5, Purpose::test);
  const auto residual = leaf({2, 3, 4}, stream);
  const auto h = leaf({2, 3, 5}, stream);
  const auto weight = leaf({4, 5}, stream);
  const auto factor = random_tensor({2, 3, 4}, stream);
  const auto y = add_projection(residual, h, weight);
  EXPECT_LT(largest_difference(y, residual + at::matmul(h, weight.t())), 1e-13);
  EXPECT_LT(check_gradients([&] { return (add_projection(residual, h, weight) * factor).sum(); }, {residual, h, weight}).largest, 1e-8);
}

TEST(Monarch, IsItsDenseMatrixWithTheGradientOfCentralDifferences) {
  Stream stream(14, Purpose::test);
  // Square, wider and narrower; and a slice of wider rows.
  const std::vector<std::array<std::int64_t, 2>> shapes = {{12, 12}, {12, 24}, {12, 6}, {7, 7}};
  for (const auto& [inputs, outputs] : shapes) {
    const auto sizes = monarch_sizes(inputs, outputs);
    const auto wide = leaf({2, 3, inputs + 5}, stream);
    const auto right = leaf({sizes.blocks, sizes.block, sizes.block}, stream);
    const auto left = leaf({sizes.block, sizes.block_outputs, sizes.blocks}, stream);
    const auto x = [&] { return wide.narrow(2, 3, inputs); };
    const auto y = monarch(x(), right, left);
    for (std::int64_t sequence = 0; sequence < 2; ++sequence) {
      const auto expected = reference::through(reference::to_matrix(x().select(0, sequence)),
                                               {{"m.right", reference::to_matrix(right)}, {"m.left", reference::to_matrix(left)}}, "m");
      EXPECT_LT(largest_difference(y.select(0, sequence), reference::to_tensor(expected)), 1e-13);
    }
    const auto factor = random_tensor(y.sizes().vec(), stream);
    EXPECT_LT(check_gradients([&] { return (monarch(x(), right, left) * factor).sum(); }, {wide, right, left}).largest, 1e-8);
  }
}

TEST(RmsNorm, HasTheGradientOfCentralDifferences) {
  Stream stream(6, Purpose::test);
  const auto x = leaf({2, 3, 8}, stream);
  const auto weight = leaf({8}, stream);
  const auto factor = random_tensor({2, 3, 8}, stream);
  const auto expected = x / (x.pow(2).mean(-1, true) + norm_epsilon).sqrt() * weight;
  EXPECT_LT(largest_difference(rms_norm(x, weight), expected), 1e-13);
  EXPECT_LT(check_gradients([&] { return (rms_norm(x, weight) * factor).sum(); }, {x, weight}).largest, 1e-8);
}

TEST(GatedUnit, HasTheGradientOfCentralDifferencesForEveryActivation) {
  Stream stream(7, Purpose::test);
  const auto gate = leaf({2, 3, 6}, stream);
  const auto value = leaf({2, 3, 6}, stream);
  const auto factor = random_tensor({2, 3, 6}, stream);
  for (const auto activation : {kernels::Gate::silu, kernels::Gate::gelu, kernels::Gate::relu}) {
    EXPECT_LT(check_gradients([&] { return (gated_unit(gate, value, activation) * factor).sum(); }, {gate, value}).largest, 1e-7);
  }
}

TEST(LiquidGate, IsItsEquationWithTheGradientOfCentralDifferences) {
  Stream stream(21, Purpose::test);
  const auto u = leaf({2, 7, 1}, stream);
  const auto bias = leaf({1}, stream);
  const auto log_tau = leaf({1}, stream);
  const auto log_delta = leaf({1}, stream);
  const LiquidGateInputs inputs{.u = u, .bias = bias, .log_tau = log_tau, .log_delta = log_delta};
  const auto g = liquid_gate(inputs);
  const double tau = std::exp(log_tau.item<double>());
  const double delta = std::exp(log_delta.item<double>());
  for (int sequence = 0; sequence < 2; ++sequence) {
    double expected = 0;
    for (int t = 0; t < 7; ++t) {
      const double f = std::log(1 + std::exp(u[sequence][t][0].item<double>() + bias.item<double>()));
      expected = (expected + delta * f) / (1 + delta * (1 / tau + f));
      EXPECT_NEAR(g[sequence][t][0].item<double>(), expected, 1e-14);
    }
  }
  const auto factor = random_tensor({2, 7, 1}, stream);
  EXPECT_LT(check_gradients([&] { return (liquid_gate(inputs) * factor).sum(); }, {u, bias, log_tau, log_delta}).largest, 1e-8);
}

TEST(LiquidGate, ContinuesFromItsStateAndStaysBelowOne) {
  Stream stream(22, Purpose::test);
  const c10::NoGradGuard no_gradient;
  const auto u = random_tensor({3, 9, 1}, stream, 40.0);  // far beyond what softplus bends at
  const auto bias = at::zeros({1}, u.options());
  const auto log_tau = at::full({1}, 8.0, u.options());
  const auto log_delta = at::full({1}, 5.0, u.options());
  const auto whole = liquid_gate({.u = u, .bias = bias, .log_tau = log_tau, .log_delta = log_delta});
  EXPECT_GE(whole.min().item<double>(), 0.0);
  EXPECT_LT(whole.max().item<double>(), 1.0);
  const auto state = at::zeros({3, 1}, u.options());
  for (const auto& [first, count] : {std::pair{0, 4}, {4, 1}, {5, 4}}) {
    const auto part = u.narrow(1, first, count);
    const auto g = liquid_gate({.u = part, .bias = bias, .log_tau = log_tau, .log_delta = log_delta}, &state);
    EXPECT_LT(largest_difference(g, whole.narrow(1, first, count)), 1e-15);
  }
}

TEST(Lambda, StartsAtTheValueOfItsPosition) {
  EXPECT_NEAR(initial_lambda(1), 0.2, 1e-15);
  EXPECT_NEAR(initial_lambda(2), 0.8 - 0.6 * std::exp(-0.3), 1e-15);
  EXPECT_NEAR(initial_lambda(100), 0.8, 1e-12);
  EXPECT_EQ(lambda_of(at::zeros({4, 16}), initial_lambda(1)).item<float>(), 0.2f);
}

TEST(Lambda, HasTheGradientOfCentralDifferences) {
  Stream stream(12, Purpose::test);
  const auto vectors = random_tensor({4, 16}, stream, 0.3).requires_grad_(true);
  EXPECT_LT(check_gradients([&] { return lambda_of(vectors, 0.4) * 1.7; }, {vectors}).largest, 1e-8);
}

TEST(Difference, HasTheGradientOfCentralDifferencesApartAndInGroups) {
  Stream stream(13, Purpose::test);
  const auto lambda = random_tensor({}, stream).requires_grad_(true);
  const auto first = leaf({2, 3, 4}, stream);
  const auto second = leaf({2, 3, 4}, stream);
  const auto factor = random_tensor({2, 3, 4}, stream);
  EXPECT_LT(check_gradients([&] { return (difference(first, second, lambda) * factor).sum(); }, {first, second, lambda}).largest, 1e-8);
  const auto maps = leaf({2, 3, 8}, stream);
  EXPECT_LT(check_gradients([&] { return (difference_in_groups(maps, lambda, 2) * factor).sum(); }, {maps, lambda}).largest, 1e-8);
  const auto parts = maps.view({2, 3, 2, 2, 2});
  const auto expected = (parts.select(3, 0) - lambda * parts.select(3, 1)).flatten(2);
  EXPECT_LT(largest_difference(difference_in_groups(maps, lambda, 2), expected), 1e-15);
}

at::Tensor indices(const std::vector<std::int64_t>& values) {
  auto tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

TEST(CrossEntropy, IsTheMeanOverTheTargetsThatCount) {
  Stream stream(8, Purpose::test);
  const auto hidden = leaf({5, 4}, stream);
  const auto embedding = leaf({7, 4}, stream);
  const auto targets = indices({3, -100, 0, 6, -100});
  const auto log_probability = at::log_softmax(at::matmul(hidden, embedding.t()), -1);
  double expected = 0;
  for (const auto& [row, target] : {std::pair{0, 3}, std::pair{2, 0}, std::pair{3, 6}})
    expected -= log_probability[row][target].item<double>() / 3;
  EXPECT_NEAR(cross_entropy(hidden, embedding, targets).item<double>(), expected, 1e-13);
  EXPECT_LT(check_gradients([&] { return cross_entropy(hidden, embedding, targets) * 1.7; }, {hidden, embedding}).largest, 1e-8);
}

TEST(CrossEntropy, IsTheSameAcrossTheChunksItWorksIn) {
  Stream stream(9, Purpose::test);
  // More rows than one chunk of this vocabulary holds.
  const std::int64_t rows = 700;
  const std::int64_t vocabulary = 1000;
  const auto hidden = leaf({rows, 3}, stream);
  const auto embedding = leaf({vocabulary, 3}, stream);
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < rows; ++i) values.push_back(i % 5 == 0 ? -100 : static_cast<std::int64_t>(stream.below(1000)));
  const auto targets = indices(values);
  const auto reference_loss = [&] {
    const auto log_probability = at::log_softmax(at::matmul(hidden, embedding.t()), -1);
    const auto counted = targets.ne(-100);
    const auto chosen = log_probability.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
    return -(chosen * counted).sum() / counted.sum();
  };
  const auto expected = reference_loss();
  expected.backward();
  const auto expected_hidden = hidden.grad().clone();
  const auto expected_embedding = embedding.grad().clone();
  hidden.mutable_grad() = at::Tensor();
  embedding.mutable_grad() = at::Tensor();
  const auto loss = cross_entropy(hidden, embedding, targets);
  loss.backward();
  EXPECT_LT(largest_difference(loss, expected), 1e-12);
  EXPECT_LT(largest_difference(hidden.grad(), expected_hidden), 1e-14);
  EXPECT_LT(largest_difference(embedding.grad(), expected_embedding), 1e-14);

  const auto predictions = at::empty_like(targets);
  const auto sums = score(hidden, embedding, targets, predictions);
  EXPECT_EQ(sums.count, 560);
  EXPECT_NEAR(sums.loss / 560, expected.item<double>(), 1e-12);
  EXPECT_TRUE(predictions.equal(at::matmul(hidden, embedding.t()).argmax(-1)));
}

TEST(CrossEntropy, OfPartsAddsUpWhereItIsToldHowManyTargetsTheWholeHas) {
  Stream stream(12, Purpose::test);
  const auto hidden = leaf({5, 4}, stream);
  const auto embedding = leaf({7, 4}, stream);
  const auto targets = indices({3, -100, 0, 6, -100});
  const auto whole = cross_entropy(hidden, embedding, targets);
  whole.backward();
  const auto dhidden = hidden.grad().clone();
  const auto dembedding = embedding.grad().clone();
  hidden.mutable_grad() = at::Tensor();
  embedding.mutable_grad() = at::Tensor();
  double sum = 0;
  for (const auto& [first, count] : {std::pair{0, 1}, std::pair{1, 1}, std::pair{2, 3}}) {
    const auto part = cross_entropy(hidden.narrow(0, first, count), embedding, targets.narrow(0, first, count), 3);
    part.backward();
    sum += part.item<double>();
  }
  EXPECT_NEAR(sum, whole.item<double>(), 1e-14);
  EXPECT_LT(largest_difference(hidden.grad(), dhidden), 1e-15);
  EXPECT_LT(largest_difference(embedding.grad(), dembedding), 1e-15);
}

TEST(CrossEntropy, IsZeroWithAZeroGradientWhereNoTargetCounts) {
  Stream stream(10, Purpose::test);
  const auto hidden = leaf({2, 4}, stream);
  const auto embedding = leaf({7, 4}, stream);
  const auto loss = cross_entropy(hidden, embedding, indices({-100, -100}));
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0.0);
  EXPECT_EQ(hidden.grad().abs().max().item<double>(), 0.0);
}

TEST(CrossEntropy, RefusesATargetOutsideTheVocabulary) {
  Stream stream(11, Purpose::test);
  const auto hidden = leaf({2, 4}, stream);
  const auto embedding = leaf({7, 4}, stream);
  EXPECT_THROW(cross_entropy(hidden, embedding, indices({1, 7})), std::out_of_range);
  EXPECT_THROW(cross_entropy(hidden, embedding, indices({-1, 2})), std::out_of_range);
}

TEST(Functions, RefuseAnElementTypeThatTheKernelsDoNotHave) {
  const auto x = at::full({1, 2, 4}, 1.0, at::TensorOptions().dtype(at::kHalf));
  const auto weight = at::full({4}, 1.0, at::TensorOptions().dtype(at::kHalf));
  EXPECT_THROW(rms_norm(x, weight), std::invalid_argument);
}

TEST(Lambda, BeyondTheRangeOfFloatIsInfiniteAndNoError) {
  auto vectors = at::full({4, 16}, 0.1);
  vectors.select(0, 0).fill_(5.0);
  vectors.select(0, 1).fill_(5.0);  // exp(16 · 25) is a double and no float
  vectors.set_requires_grad(true);
  const auto lambda = lambda_of(vectors, 0.2);
  EXPECT_TRUE(std::isinf(lambda.item<double>()));
  EXPECT_NO_THROW(lambda.backward());
  EXPECT_TRUE(std::isinf(vectors.grad()[0][0].item<double>()));
}

TEST(AsRows, CopiesOnlyWhatHasNoEvenRows) {
  const auto buffer = at::empty({2, 3, 8});
  const auto slice = buffer.narrow(2, 2, 4);
  EXPECT_TRUE(as_rows(slice).is_same(slice));
  EXPECT_EQ(row_stride(slice), 8);
  const auto window = buffer.narrow(1, 0, 2);  // sequences further apart than their rows say
  EXPECT_FALSE(as_rows(window).is_same(window));
  const auto expanded = at::empty({1}).expand({2, 3, 4});
  EXPECT_FALSE(as_rows(expanded).is_same(expanded));
  const auto transposed = buffer.transpose(1, 2);
  EXPECT_FALSE(as_rows(transposed).is_same(transposed));
  const auto one_token = buffer.narrow(1, 1, 1);
  EXPECT_EQ(row_stride(one_token), 24);
}

}  // namespace
}  // namespace starling::operators
