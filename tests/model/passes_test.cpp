// The passes of a training step: shares of a batch, dropout, activations that are computed again.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <starling/genome/baselines.hpp>
#include <starling/model/model.hpp>
#include <starling/operators/functions/dropout.hpp>

#include "model_support.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

using reference::largest_difference;

const auto& catalogue = genome::Catalogue::liquid();
constexpr genome::Dimensions tiny{.width = 16, .length = 9, .vocabulary = 11};

Model make(const genome::Genome& genome, at::ScalarType dtype = at::kDouble) {
  return {catalogue, genome, tiny, 5, Model::Initialization::glorot, dtype};
}

struct Outcome {
  double loss = 0;
  std::vector<at::Tensor> gradients;  ///< by parameter; undefined where it has none
};

/// Of the sum of the passes over these sequences.
Outcome outcome(const Model& model, const std::vector<std::pair<Model::Pass, std::int64_t>>& passes, const at::Tensor& tokens,
                const at::Tensor& targets) {
  for (const auto& parameter : model.parameters()) parameter.value.mutable_grad().reset();
  Outcome result;
  std::int64_t first = 0;
  for (const auto& [pass, count] : passes) {
    const auto loss = model.loss(tokens.narrow(0, first, count), targets.narrow(0, first, count), pass);
    loss.backward();
    result.loss += loss.item<double>();
    first += count;
  }
  for (const auto& parameter : model.parameters()) {
    result.gradients.push_back(parameter.value.grad().defined() ? parameter.value.grad().clone() : at::Tensor());
    parameter.value.mutable_grad().reset();
  }
  return result;
}

Outcome outcome(const Model& model, const Model::Pass& pass, const at::Tensor& tokens, const at::Tensor& targets) {
  return outcome(model, {{pass, tokens.size(0)}}, tokens, targets);
}

void expect_near(const Model& model, const Outcome& a, const Outcome& b, double tolerance) {
  EXPECT_NEAR(a.loss, b.loss, tolerance);
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    ASSERT_EQ(a.gradients[i].defined(), b.gradients[i].defined()) << model.parameters()[i].name;
    if (!a.gradients[i].defined()) continue;
    EXPECT_LT(largest_difference(a.gradients[i], b.gradients[i]), tolerance) << model.parameters()[i].name;
  }
}

const at::Tensor tokens = token_tensor(4, tiny.length, tiny.vocabulary, 8);

/// Of which sequences count 9, 7, 0 and 4.
at::Tensor masked_targets() {
  auto targets = token_tensor(4, tiny.length, tiny.vocabulary, 9);
  targets[1].slice(0, 0, 2).fill_(-100);
  targets[2].fill_(-100);
  targets[3].slice(0, 2, 7).fill_(-100);
  return targets;
}

std::vector<NamedGenome> all_genomes() {
  auto genomes = sharing_genomes();
  for (auto& genome : path_genomes()) genomes.push_back(std::move(genome));
  for (std::uint64_t seed = 0; seed < 8; ++seed) genomes.push_back({"random", random_genome(6, seed)});
  return genomes;
}

TEST(Pass, OfPartsOfABatchAddsUpToTheBatch) {
  const auto targets = masked_targets();
  constexpr std::int64_t counted = 20;
  EXPECT_EQ(targets.ne(-100).sum().item<std::int64_t>(), counted);
  for (const double dropout : {0.0, 0.3}) {
    const Model::Pass whole{.dropout = dropout, .dropout_seed = 3};
    const auto part = [&](std::int64_t first) {
      return Model::Pass{.counted = counted, .dropout = dropout, .dropout_seed = 3, .first_sequence = first};
    };
    for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
      const auto model = make(genome::baseline(catalogue, name, 4));
      const auto expected = outcome(model, whole, tokens, targets);
      expect_near(model, outcome(model, {{part(0), 2}, {part(2), 2}}, tokens, targets), expected, 1e-13);
      expect_near(model, outcome(model, {{part(0), 1}, {part(1), 1}, {part(2), 1}, {part(3), 1}}, tokens, targets), expected, 1e-13);
      expect_near(model, outcome(model, {{part(0), 3}, {part(3), 1}}, tokens, targets), expected, 1e-13);
    }
  }
}

TEST(Pass, WithoutDropoutIsTheLossItself) {
  const auto model = make(genome::baseline(catalogue, "striped-mamba", 4), at::kFloat);
  const auto targets = masked_targets();
  EXPECT_EQ(outcome(model, {.dropout_seed = 7, .first_sequence = 2}, tokens, targets).loss, model.loss(tokens, targets).item<double>());
}

TEST(Pass, DropsByStepAndSequenceAndNothingElse) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 4));
  const auto targets = masked_targets();
  const auto loss = [&](const Model::Pass& pass) { return model.loss(tokens, targets, pass).item<double>(); };
  const Model::Pass pass{.dropout = 0.2, .dropout_seed = 1};
  EXPECT_EQ(loss(pass), loss(pass));
  EXPECT_NE(loss(pass), loss({}));
  EXPECT_NE(loss(pass), loss({.dropout = 0.2, .dropout_seed = 2}));
  EXPECT_NE(loss(pass), loss({.dropout = 0.2, .dropout_seed = 1, .first_sequence = 4}));
  EXPECT_NE(loss(pass), loss({.dropout = 0.3, .dropout_seed = 1}));
}

TEST(Pass, DropsTheEmbeddingAndWhatEveryLivAddsByMasksOfTheirOwn) {
  // One token, nearly all of whose channels are dropped: what a LIV adds may be dropped as a whole, and then its output projection has no
  // gradient.
  const auto model = make(genome::baseline(catalogue, "transformer++", 4));
  const auto token = tokens.narrow(0, 0, 1).narrow(1, 0, 1);
  const auto target = tokens.narrow(0, 0, 1).narrow(1, 1, 1);
  constexpr double probability = 0.9;
  std::vector<int> silent(5);
  std::vector<int> heard(5);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto is_silent = [&](std::uint32_t place) {
      const auto ones = at::ones({1, 1, tiny.width}, at::kDouble);
      return operators::dropout(ones, {probability, seed, place, 0}).abs().max().item<double>() == 0;
    };
    const Model::Pass pass{.dropout = probability, .dropout_seed = seed};
    if (is_silent(0)) {
      ++silent[0];
      continue;
    }
    ++heard[0];
    const auto found = outcome(model, pass, token, target);
    for (std::uint32_t liv = 0; liv < 4; ++liv) {
      const auto& parameters = model.parameters();
      const auto name = "livs." + std::to_string(liv) + ".out";
      const auto at = std::ranges::find(parameters, name, &operators::Parameter::name) - parameters.begin();
      ++(is_silent(liv + 1) ? silent : heard)[liv + 1];
      EXPECT_EQ(found.gradients[static_cast<std::size_t>(at)].abs().max().item<double>() == 0, is_silent(liv + 1)) << name << " " << seed;
    }
  }
  for (std::size_t place = 0; place < 5; ++place) {
    EXPECT_GT(silent[place], 0) << place;
    EXPECT_GT(heard[place], 0) << place;
  }
}

TEST(Pass, WhoseEmbeddingIsDroppedKnowsNothing) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 2));
  {
    const c10::NoGradGuard no_gradient;
    for (const auto* const name : {"livs.0.out", "livs.1.out"}) parameter(model, name).zero_();
  }
  const auto targets = masked_targets();
  const auto loss = model.loss(tokens, targets, {.dropout = 0.9999, .dropout_seed = 1}).item<double>();
  EXPECT_NEAR(loss, std::log(11), 1e-12);
}

// Sums of the gradients of what is used several times in a group and outside of it may be made in another order; all else is the same.
constexpr std::int16_t sa_2_diff = 15;
bool sums_in_one_order(const genome::Genome& genome) {
  for (const auto& liv : genome.livs) {
    if (liv.path != 0 || liv.liv_class == sa_2_diff) return false;
  }
  return true;
}

TEST(Pass, ThatRecomputesGivesTheSameLossAndGradients) {
  const auto targets = masked_targets();
  struct Case {
    at::ScalarType type;
    double dropout;
    double rounding;
  };
  const std::vector<Case> cases{{at::kDouble, 0, 1e-14}, {at::kFloat, 0.3, 1e-6}, {at::kBFloat16, 0.3, 0.02}};
  int exact = 0;
  for (const auto& [name, genome] : all_genomes()) {
    for (const auto& [type, dropout, rounding] : cases) {
      SCOPED_TRACE(name + " " + genome::to_text(genome) + " " + c10::toString(type));
      const auto model = make(genome, type);
      const auto kept = outcome(model, {.dropout = dropout, .dropout_seed = 1}, tokens, targets);
      const auto again = outcome(model, {.dropout = dropout, .dropout_seed = 1, .recompute = true}, tokens, targets);
      EXPECT_EQ(kept.loss, again.loss);
      for (std::size_t i = 0; i < kept.gradients.size(); ++i) {
        const auto& a = kept.gradients[i];
        const auto& b = again.gradients[i];
        ASSERT_EQ(a.defined(), b.defined()) << model.parameters()[i].name;
        if (!a.defined()) continue;
        EXPECT_LE(largest_difference(a, b), rounding * a.abs().max().item<double>()) << model.parameters()[i].name;
        if (!sums_in_one_order(genome)) continue;
        EXPECT_TRUE(a.equal(b)) << model.parameters()[i].name;
        ++exact;
      }
    }
  }
  EXPECT_GT(exact, 1000);
}

TEST(Pass, ThatRecomputesScoresTheSameWithoutGradient) {
  const auto model = make(genome::baseline(catalogue, "striped-mamba", 4));
  const auto targets = masked_targets();
  const c10::NoGradGuard no_gradient;
  EXPECT_EQ(model.loss(tokens, targets, {.recompute = true}).item<double>(), model.loss(tokens, targets).item<double>());
}

}  // namespace
}  // namespace starling::model
