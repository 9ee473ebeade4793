// What every operator class promises, checked class by class and sharing strategy by sharing strategy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <starling/operators/compile.hpp>
#include <starling/operators/operator.hpp>

#include "class_cases.hpp"
#include "torch_support.hpp"

namespace starling::operators {
namespace {

using reference::largest_difference;
using reference::random_tensor;

constexpr std::int64_t width = 16;
constexpr std::int64_t batch = 2;
constexpr std::int64_t length = 7;

/// An operator with random weights, and what a reader of each strategy would get from another LIV.
struct Subject {
  explicit Subject(ClassCase class_case, GroupMask reads_mask = 0, std::uint64_t seed = 1)
      : which(std::move(class_case)), reads(reads_mask), computes(which.all() & ~reads_mask), op(compile(which.config)) {
    Stream stream(seed, Purpose::test);
    for (const auto& spec : op->bank()) {
      // A reader's bank does not hold what it reads.
      const bool held = contains(computes, static_cast<std::size_t>(spec.group));
      bank.push_back(held ? leaf(random_tensor(spec.shape, stream, 0.4)) : at::Tensor());
    }
    for (const auto& spec : op->own()) own.push_back(leaf(random_tensor(spec.shape, stream, 0.4)));
    for (std::size_t group = 0; group < which.config.groups.size(); ++group) {
      const bool is_read = contains(reads, group);
      read.push_back(is_read ? leaf(random_tensor(feature_shape(group), stream)) : at::Tensor());
    }
    x = leaf(random_tensor({batch, length, width}, stream));
  }

  /// Features that are weights have neither sequences nor tokens.
  bool is_weights(std::size_t group) const { return which.config.groups[group].parametrisation == Parametrisation::direct; }
  std::vector<std::int64_t> feature_shape(std::size_t group) const {
    if (!is_weights(group)) return {batch, length, which.config.groups[group].channels};
    return std::find_if(op->bank().begin(), op->bank().end(), [&](const auto& spec) { return spec.group == static_cast<int>(group); })
        ->shape;
  }

  static at::Tensor leaf(const at::Tensor& tensor) { return tensor.requires_grad_(true); }

  at::Tensor forward(const at::Tensor& input, Tensors& features, State* state = nullptr) const {
    return op->forward({.x = input, .bank = bank, .own = own, .computes = computes, .features = features, .state = state});
  }
  at::Tensor forward() const {
    auto features = read;
    return forward(x, features);
  }

  /// Of what an owner has, that which a reader gets.
  Tensors taken_from(const Tensors& owned) const {
    Tensors taken(owned.size());
    for (std::size_t entry = 0; reads != 0 && entry < owned.size(); ++entry) {
      if (entry >= which.config.groups.size() || contains(reads, entry)) taken[entry] = owned[entry];
    }
    return taken;
  }
  Tensors no_features() const { return Tensors(which.config.groups.size() + op->exports()); }

  State begin(std::int64_t sequences, std::int64_t capacity) const {
    State state;
    for (const auto& spec : op->state(computes)) {
      std::vector<std::int64_t> shape{sequences};
      if (spec.per_token) shape.push_back(spec.entries(capacity));
      shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
      state.tensors.push_back(at::zeros(shape, x.options().requires_grad(false)));
    }
    return state;
  }

  ClassCase which;
  GroupMask reads;
  GroupMask computes;
  std::unique_ptr<Operator> op;
  Tensors bank;
  Tensors own;
  Tensors read;
  at::Tensor x;
};

/// A class and one of its sharing strategies (0: reads nothing).
struct Parameter {
  std::size_t class_index;
  std::size_t strategy;
};

std::vector<Parameter> all_parameters() {
  std::vector<Parameter> parameters;
  const auto cases = class_cases(width);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (std::size_t strategy = 0; strategy <= cases[i].shared.size(); ++strategy) parameters.push_back({i, strategy});
  }
  return parameters;
}

std::string name_of(const testing::TestParamInfo<Parameter>& info) {
  const auto which = class_cases(width)[info.param.class_index];
  auto name = which.config.name;
  if (info.param.strategy > 0) {
    name += "_reads";
    for (const auto& group : which.shared[info.param.strategy - 1]) name += "_" + group;
  }
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class EveryClass : public testing::TestWithParam<Parameter> {
 protected:
  static Subject make(std::uint64_t seed = 1) {
    auto which = class_cases(width)[GetParam().class_index];
    const auto reads = GetParam().strategy == 0 ? 0 : which.mask(which.shared[GetParam().strategy - 1]);
    return Subject(std::move(which), reads, seed);
  }
};

INSTANTIATE_TEST_SUITE_P(Classes, EveryClass, testing::ValuesIn(all_parameters()), name_of);

reference::Weights weights_by_name(const Subject& subject) {
  reference::Weights weights;
  for (std::size_t i = 0; i < subject.bank.size(); ++i) {
    if (subject.bank[i].defined()) weights[subject.op->bank()[i].name] = reference::to_matrix(subject.bank[i]);
  }
  for (std::size_t i = 0; i < subject.own.size(); ++i) weights[subject.op->own()[i].name] = reference::to_matrix(subject.own[i]);
  return weights;
}

TEST_P(EveryClass, IsItsEquation) {
  const auto subject = make();
  const auto y = subject.forward();
  for (std::int64_t sequence = 0; sequence < batch; ++sequence) {
    reference::Features features;
    for (std::size_t group = 0; group < subject.read.size(); ++group) {
      if (subject.read[group].defined()) {
        const auto& read = subject.read[group];
        features[subject.which.config.groups[group].name] =
            reference::to_matrix(subject.is_weights(group) ? read : read.select(0, sequence));
      }
    }
    const auto expected = subject.which.reference(reference::to_matrix(subject.x.select(0, sequence)), weights_by_name(subject), features);
    EXPECT_LT(largest_difference(y.select(0, sequence), reference::to_tensor(expected)), 1e-11);
  }
}

TEST_P(EveryClass, ComputesInFloatWhatItComputesInDouble) {
  const auto exact = make();
  auto rounded = make();
  const c10::NoGradGuard no_gradient;
  for (auto* list : {&rounded.bank, &rounded.own, &rounded.read}) {
    for (auto& tensor : *list) {
      if (tensor.defined()) tensor = tensor.to(at::kFloat);
    }
  }
  rounded.x = rounded.x.to(at::kFloat);
  const auto y = rounded.forward();
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  const auto expected = exact.forward();
  EXPECT_LT(largest_difference(y, expected), 2e-5 * std::max(1.0, expected.abs().max().item<double>()));
}

/// ‖a − b‖ / ‖b‖; +inf where an element of a is not finite.
double relative_distance(const at::Tensor& a, const at::Tensor& b) {
  const auto exact = b.detach().to(at::kDouble);
  const auto distance = (a.detach().to(at::kDouble) - exact).norm().item<double>();
  return std::isfinite(distance) ? distance / (exact.norm().item<double>() + 1e-3) : std::numeric_limits<double>::infinity();
}

TEST_P(EveryClass, ComputesInBfloat16WhatItComputesInDouble) {
  auto exact = make();
  auto rounded = make();
  // Both start from the same rounded numbers: matrices, input and features as a model in bfloat16 has them, all else in float.
  const auto share = [](at::Tensor& of_exact, at::Tensor& of_rounded, at::ScalarType type) {
    if (!of_exact.defined()) return;
    of_rounded = of_exact.detach().to(type).requires_grad_(true);
    of_exact = of_rounded.detach().to(at::kDouble).requires_grad_(true);
  };
  const auto type_of = [](bool activation) { return activation ? at::kBFloat16 : at::kFloat; };
  for (std::size_t i = 0; i < exact.bank.size(); ++i) share(exact.bank[i], rounded.bank[i], type_of(exact.op->bank()[i].matrix));
  for (std::size_t i = 0; i < exact.own.size(); ++i) share(exact.own[i], rounded.own[i], type_of(exact.op->own()[i].matrix));
  for (std::size_t i = 0; i < exact.read.size(); ++i) share(exact.read[i], rounded.read[i], type_of(!exact.is_weights(i)));
  share(exact.x, rounded.x, at::kBFloat16);

  const auto y = rounded.forward();
  const auto expected = exact.forward();
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_distance(y, expected), 0.03);
  Stream stream(3, Purpose::test);
  const auto dy = random_tensor(expected.sizes().vec(), stream);
  y.backward(dy.to(at::kBFloat16));
  expected.backward(dy);
  const auto compare = [&](const at::Tensor& of_rounded, const at::Tensor& of_exact, const std::string& name) {
    if (!of_exact.defined() || !of_exact.grad().defined()) return;
    ASSERT_TRUE(of_rounded.grad().defined()) << name;
    // λ is one number for all tokens and channels: its gradient is a sum of either sign.
    EXPECT_LT(relative_distance(of_rounded.grad(), of_exact.grad()), name == "lambda" ? 0.3 : 0.06) << name;
  };
  for (std::size_t i = 0; i < exact.bank.size(); ++i) compare(rounded.bank[i], exact.bank[i], exact.op->bank()[i].name);
  for (std::size_t i = 0; i < exact.own.size(); ++i) compare(rounded.own[i], exact.own[i], exact.op->own()[i].name);
  for (std::size_t i = 0; i < exact.read.size(); ++i) compare(rounded.read[i], exact.read[i], exact.which.config.groups[i].name);
  compare(rounded.x, exact.x, "x");
}

TEST_P(EveryClass, HasTheGradientOfCentralDifferences) {
  const auto subject = make();
  Stream stream(2, Purpose::test);
  const auto weight = random_tensor(subject.forward().sizes().vec(), stream);
  // Features that another LIV may read have a gradient of their own.
  std::vector<std::size_t> exported;
  Tensors feature_weights;
  for (std::size_t group = 0; group < subject.which.config.groups.size(); ++group) {
    const auto& config = subject.which.config.groups[group];
    const bool shareable = std::any_of(subject.which.shared.begin(), subject.which.shared.end(), [&](const auto& groups) {
      return std::find(groups.begin(), groups.end(), config.name) != groups.end();
    });
    if (!shareable) continue;
    exported.push_back(group);
    feature_weights.push_back(random_tensor(subject.feature_shape(group), stream));
  }
  const auto scalar = [&] {
    auto features = subject.read;
    auto sum = (subject.forward(subject.x, features) * weight).sum();
    for (std::size_t i = 0; i < exported.size(); ++i) sum = sum + (features[exported[i]] * feature_weights[i]).sum();
    return sum;
  };
  std::vector<at::Tensor> leaves{subject.x};
  for (const auto* list : {&subject.bank, &subject.own, &subject.read}) {
    for (const auto& tensor : *list) {
      // The output projection is applied outside of the operator.
      if (tensor.defined() && !tensor.is_same(subject.own[0])) leaves.push_back(tensor);
    }
  }
  const auto error = reference::check_gradients(scalar, leaves, 200);
  EXPECT_LT(error.largest, 1e-6);
  EXPECT_GT(error.compared, 200);
}

TEST_P(EveryClass, TakesAnExpandedGradient) {
  const auto subject = make();
  subject.forward().sum().backward();
  const auto expanded = subject.x.grad().clone();
  subject.x.mutable_grad() = at::Tensor();
  const auto y = subject.forward();
  y.backward(at::empty_like(y).fill_(1.0));
  EXPECT_LT(largest_difference(subject.x.grad(), expanded), 1e-12);
}

TEST_P(EveryClass, IsCausal) {
  const auto subject = make();
  const c10::NoGradGuard no_gradient;
  const auto before = subject.forward();
  for (std::int64_t t = 0; t < length; ++t) {
    auto features = subject.read;
    for (std::size_t group = 0; group < features.size(); ++group) {
      auto& feature = features[group];
      if (!feature.defined() || subject.is_weights(group)) continue;
      feature = feature.clone();
      feature.select(1, t).add_(3.0);
    }
    auto changed = subject.x.clone();
    changed.select(1, t).add_(1.0);
    const auto after = subject.forward(changed, features);
    EXPECT_EQ(largest_difference(after.narrow(1, 0, t), before.narrow(1, 0, t)), 0.0) << "token " << t;
    EXPECT_GT(largest_difference(after.select(1, t), before.select(1, t)), 0.0) << "token " << t;
  }
}

TEST_P(EveryClass, TreatsTheSequencesOfABatchApart) {
  const auto subject = make();
  const c10::NoGradGuard no_gradient;
  const auto before = subject.forward();
  auto changed = subject.x.clone();
  changed.select(0, 1).mul_(-2.0);
  auto features = subject.read;
  const auto after = subject.forward(changed, features);
  EXPECT_EQ(largest_difference(after.select(0, 0), before.select(0, 0)), 0.0);
  EXPECT_GT(largest_difference(after.select(0, 1), before.select(0, 1)), 0.0);
}

TEST_P(EveryClass, ContinuesASequenceInPiecesOfAnySize) {
  const auto subject = make();
  const c10::NoGradGuard no_gradient;
  // What it reads comes from another LIV of the class, which goes piece by piece as well.
  const Subject owner(subject.which, 0, 2);
  auto owned = owner.no_features();
  owner.forward(owner.x, owned);
  auto read = subject.taken_from(owned);
  const auto whole = subject.forward(subject.x, read);
  const std::vector<std::vector<std::int64_t>> splits = {{1, 1, 1, 1, 1, 1, 1}, {7}, {3, 4}, {1, 5, 1}};
  for (const auto& split : splits) {
    auto state = subject.begin(batch, length);
    auto owner_state = owner.begin(batch, length);
    for (const auto count : split) {
      const auto first = state.position;
      auto owner_features = owner.no_features();
      owner.forward(owner.x.narrow(1, first, count), owner_features, &owner_state);
      auto features = subject.taken_from(owner_features);
      const auto part = subject.forward(subject.x.narrow(1, first, count), features, &state);
      EXPECT_LT(largest_difference(part, whole.narrow(1, first, count)), 1e-11);
      state.position += count;
      owner_state.position += count;
    }
  }
}

TEST_P(EveryClass, LeavesWhatItReadsAsItIs) {
  const auto subject = make();
  Tensors kept;
  for (const auto& feature : subject.read) kept.push_back(feature.defined() ? feature.detach().clone() : at::Tensor());
  auto features = subject.read;
  subject.forward(subject.x, features).sum().backward();
  for (std::size_t group = 0; group < features.size(); ++group) {
    if (!kept[group].defined()) continue;
    EXPECT_TRUE(features[group].is_same(subject.read[group])) << subject.which.config.groups[group].name;
    EXPECT_EQ(largest_difference(features[group], kept[group]), 0.0);
  }
}

TEST(Compile, NamesTheClassAndItsIntegersWhereNothingRealisesThem) {
  auto config = class_cases(width)[0].config;
  config.nonlinearity = Nonlinearity::none;
  config.token_mixing = TokenMixing::toeplitz;
  config.sparsity = Sparsity::banded;
  try {
    compile(config);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("SA-1"), testing::HasSubstr("sparsity 2"), testing::HasSubstr("q, k, v")));
  }
}

}  // namespace
}  // namespace starling::operators
