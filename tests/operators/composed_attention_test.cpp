// Attention for devices, compared on the CPU with the kernel that it stands for.
#include <starling/operators/functions/composed_attention.hpp>

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <string>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/operators/functions/rotation.hpp>

#include "torch_support.hpp"

namespace starling::operators {
namespace {

using kernels::AttentionScore;
using reference::largest_difference;
using reference::random_tensor;

constexpr std::int64_t batch = 2;
constexpr std::int64_t length = 11;
constexpr std::int64_t head_width = 4;

struct Case {
  AttentionScore kind = AttentionScore::softmax;
  Sight sight;
  Heads heads{4, 4, 4};
  std::int64_t value_width = head_width;  ///< of a head
  AttentionForm form = AttentionForm::chunks;
  std::int64_t chunk = 3;  ///< queries
};

const std::vector<Sight> sights{{}, {.window = 3}, {.block = 4}, {.window = 6}, {.block = 64}, {.window = 1}};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& sight : sights) {
    for (const auto kind :
         {AttentionScore::softmax, AttentionScore::linear, AttentionScore::relu, AttentionScore::silu, AttentionScore::gelu})
      all.push_back({.kind = kind, .sight = sight});
    all.push_back({.sight = sight, .heads = {4, 2, 2}, .chunk = 1});
    all.push_back({.sight = sight, .heads = {4, 4, 2}, .value_width = 2 * head_width, .chunk = 100});
    all.push_back({.kind = AttentionScore::silu, .sight = sight, .heads = {4, 1, 2}, .value_width = 2});
  }
  if (has_fused_attention()) {
    for (const auto& sight : sights) {
      all.push_back({.sight = sight, .form = AttentionForm::fused});
      all.push_back({.sight = sight, .heads = {4, 2, 2}, .form = AttentionForm::fused});
      all.push_back({.sight = sight, .heads = {4, 4, 2}, .value_width = 2 * head_width, .form = AttentionForm::fused});
      all.push_back({.sight = sight, .heads = {4, 1, 2}, .value_width = 2, .form = AttentionForm::fused});
    }
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const auto& [kind, sight, heads, value_width, form, chunk] = info.param;
  const char* const kinds[] = {"softmax", "linear", "relu", "silu", "gelu"};
  return std::string(form == AttentionForm::fused ? "fused" : "chunks") + "_" + kinds[static_cast<int>(kind)] + "_window" +
         std::to_string(sight.window) + "_block" + std::to_string(sight.block) + "_heads" + std::to_string(heads.key) +
         std::to_string(heads.value) + "_width" + std::to_string(value_width);
}

class ComposedAttention : public testing::TestWithParam<Case> {
 protected:
  static Scores scores() { return {.kind = GetParam().kind, .sight = GetParam().sight, .rotary = rotary()}; }
  static bool rotary() { return GetParam().kind != AttentionScore::linear; }

  /// Leaves q, k and v; linear scores are made of numbers above 0.
  static std::vector<at::Tensor> inputs(std::int64_t tokens = length) {
    const auto& heads = GetParam().heads;
    Stream stream(1, Purpose::test);
    std::vector<at::Tensor> made{random_tensor({batch, tokens, heads.query * head_width}, stream),
                                 random_tensor({batch, tokens, heads.key * head_width}, stream),
                                 random_tensor({batch, tokens, heads.value * GetParam().value_width}, stream)};
    if (!rotary()) {
      made[0] = made[0].exp();
      made[1] = made[1].exp();
    }
    for (auto& tensor : made) tensor.set_requires_grad(true);
    return made;
  }

  static at::Tensor composed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool rotates = rotary()) {
    const auto& [kind, sight, heads, value_width, form, chunk] = GetParam();
    const auto elements = chunk * q.size(0) * heads.query * k.size(1);
    return composed_attention(rotates ? rotated(q, heads.query) : q, rotates ? rotated(k, heads.key) : k, v, heads, scores(), form,
                              elements);
  }
  static at::Tensor kernel(const std::vector<at::Tensor>& in) { return attention(in[0], in[1], in[2], GetParam().heads, scores(), true).y; }
};

INSTANTIATE_TEST_SUITE_P(Cases, ComposedAttention, testing::ValuesIn(cases()), name_of);

TEST_P(ComposedAttention, IsTheKernelForwardAndBackward) {
  const auto ours = inputs();
  const auto theirs = inputs();
  const auto y = composed(ours[0], ours[1], ours[2]);
  const auto expected = kernel(theirs);
  EXPECT_LT(largest_difference(y, expected), 1e-12);
  Stream stream(2, Purpose::test);
  const auto dy = random_tensor(expected.sizes().vec(), stream);
  y.backward(dy);
  expected.backward(dy);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(largest_difference(ours[i].grad(), theirs[i].grad()), 1e-11) << "qkv"[i];
}

TEST_P(ComposedAttention, ComputesInFloatAndBfloat16WhatItComputesInDouble) {
  const c10::NoGradGuard no_gradient;
  const auto in = inputs();
  for (const auto& [type, tolerance] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 0.05}}) {
    const auto y = composed(in[0].to(type), in[1].to(type), in[2].to(type));
    EXPECT_EQ(y.scalar_type(), type);
    const auto expected = composed(in[0].to(type).to(at::kDouble), in[1].to(type).to(at::kDouble), in[2].to(type).to(at::kDouble));
    EXPECT_LT(largest_difference(y, expected), tolerance * std::max(1.0, expected.abs().max().item<double>()));
  }
}

TEST_P(ComposedAttention, IsCausalAndSeesNoMoreThanItsBandOrBlock) {
  const c10::NoGradGuard no_gradient;
  const auto in = inputs();
  const auto sight = scores().sight;
  const auto before = composed(in[0], in[1], in[2]);
  for (std::int64_t t = 0; t < length; ++t) {
    auto k = in[1].clone();
    auto v = in[2].clone();
    k.select(1, t).add_(1);
    v.select(1, t).add_(1);
    const auto after = composed(in[0], k, v);
    auto end = length;
    if (sight.window > 0) end = std::min(length, t + sight.window);
    if (sight.block > 0) end = std::min(length, (t / sight.block + 1) * sight.block);
    for (std::int64_t i = 0; i < length; ++i) {
      const double change = largest_difference(after.select(1, i), before.select(1, i));
      if (i < t || i >= end) {
        EXPECT_EQ(change, 0.0) << t << " " << i;
      } else if (i == t) {
        EXPECT_GT(change, 0.0) << t;
      }
    }
  }
}

TEST_P(ComposedAttention, ContinuesAHistory) {
  const c10::NoGradGuard no_gradient;
  const auto in = inputs();
  const auto all = attend(in[0], in[1], in[2], GetParam().heads, scores());
  for (const std::int64_t count : {1, 3, 5}) {
    const auto q = in[0].narrow(1, length - count, count);
    EXPECT_LT(largest_difference(composed(q, in[1], in[2], false), all.narrow(1, length - count, count)), 1e-12) << count;
  }
}

TEST(ComposedAttention, TakesMorePiecesThanADeviceDoesAtOnce) {
  if (!has_fused_attention()) GTEST_SKIP() << "it has no fused attention";
  const c10::NoGradGuard no_gradient;
  Stream stream(1, Purpose::test);
  const auto v = random_tensor({2, 70'001, 2}, stream);
  // Every token sees itself alone.
  const auto y = composed_attention(v, v, v, {1, 1, 1}, {.sight = {.block = 1}}, AttentionForm::fused);
  EXPECT_TRUE(y.equal(v));
}

TEST(ComposedAttention, KnowsWhatLibTorchHas) {
  if (has_fused_attention()) GTEST_SKIP() << "it has fused attention";
  const auto x = at::ones({1, 2, 4});
  EXPECT_THROW(composed_attention(x, x, x, {}, {}, AttentionForm::fused), std::invalid_argument);
}

}  // namespace
}  // namespace starling::operators
