#include <starling/operators/functions/recomputation.hpp>

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>

#include <stdexcept>

#include <starling/operators/functions/tensors.hpp>

#include "torch_support.hpp"

namespace starling::operators {
namespace {

using reference::largest_difference;

at::Tensor leaf(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  Stream stream(seed, Purpose::test);
  return reference::random_tensor(shape, stream).set_requires_grad(true);
}

at::Tensor taken_gradient(const at::Tensor& tensor) {
  auto gradient = tensor.grad().clone();
  tensor.mutable_grad().reset();
  return gradient;
}

TEST(Recomputed, GivesTheValuesAndGradientsOfAPlainCall) {
  const auto x = leaf({3, 4}, 1);
  const auto w = leaf({4, 4}, 2);
  int calls = 0;
  const auto f = [&](const Tensors& in) -> Tensors {
    ++calls;
    return {at::tanh(at::matmul(in[0], in[1])), at::Tensor(), in[0] * in[0]};
  };
  const auto loss = [](const Tensors& y) { return (y[0] * y[0]).sum() + y[2].sum(); };
  auto plain = loss(f({x, w}));
  plain.backward();
  const auto dx = taken_gradient(x);
  const auto dw = taken_gradient(w);
  calls = 0;
  const auto outputs = recomputed(f, {x, w});
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_FALSE(outputs[1].defined());
  EXPECT_EQ(calls, 1);
  const auto again = loss(outputs);
  EXPECT_TRUE(again.equal(plain));
  again.backward();
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(taken_gradient(x).equal(dx));
  EXPECT_TRUE(taken_gradient(w).equal(dw));
}

TEST(Recomputed, KnowsWhichInputsAndOutputsTakePart) {
  const auto x = leaf({4}, 1);
  const auto fixed = leaf({4}, 2).detach();
  const auto unused = leaf({4}, 3);
  const auto outputs = recomputed(
      [](const Tensors& in) -> Tensors {
        return {in[0] * in[2], in[2] * 2, in[0] + 1};
      },
      {x, at::Tensor(), fixed, unused});
  outputs[0].sum().backward();  // the other outputs have no gradient
  EXPECT_TRUE(x.grad().equal(fixed));
  EXPECT_FALSE(fixed.grad().defined());
  EXPECT_FALSE(unused.grad().defined());
}

TEST(Recomputed, ReturnsAnInputAsItIs) {
  const auto x = leaf({4}, 1);
  const auto outputs = recomputed([](const Tensors& in) -> Tensors { return {in[0] * 3, in[0]}; }, {x});
  (outputs[0] + outputs[1] * 2).sum().backward();
  EXPECT_LT(largest_difference(x.grad(), x.detach() * 0 + 5), 1e-15);
}

TEST(Recomputed, ChainsAndNests) {
  const auto x = leaf({4}, 1);
  const auto square = [](const Tensors& in) -> Tensors { return {in[0] * in[0]}; };
  const auto nested = [&](const Tensors& in) -> Tensors { return {recomputed(square, {recomputed(square, in)[0] + 1})[0]}; };
  recomputed(nested, recomputed(square, {x}))[0].sum().backward();
  const auto v = x.detach();
  EXPECT_LT(largest_difference(x.grad(), 8 * v * v * v * (v * v * v * v + 1)), 1e-10);
}

TEST(Recomputed, LetsErrorsOfTheSecondCallThrough) {
  const auto x = leaf({4}, 1);
  int calls = 0;
  const auto outputs = recomputed(
      [&](const Tensors& in) -> Tensors {
        if (++calls == 2) throw std::bad_alloc();
        return {in[0] * in[0]};
      },
      {x});
  EXPECT_THROW(outputs[0].sum().backward(), std::bad_alloc);
  EXPECT_FALSE(x.grad().defined());
}

}  // namespace
}  // namespace starling::operators
