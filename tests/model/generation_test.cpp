// Step by step is the same as all at once.
#include <gtest/gtest.h>

#include <c10/core/GradMode.h>

#include <stdexcept>

#include <starling/genome/baselines.hpp>
#include <starling/genome/variation.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/model.hpp>

#include "model_support.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

using reference::largest_difference;

const auto& catalogue = genome::Catalogue::liquid();
constexpr genome::Dimensions tiny{.width = 16, .length = 9, .vocabulary = 11};

Model make(const genome::Genome& genome, at::ScalarType dtype) { return perturbed(catalogue, genome, tiny, dtype); }

void expect_steps_are_rows(const genome::Genome& genome, at::ScalarType dtype, double tolerance) {
  model::expect_steps_are_rows(make(genome, dtype), tiny, tolerance);
}

TEST(Generation, IsTheParallelFormForEveryClassAndSharingStrategy) {
  for (const auto& [name, genome] : sharing_genomes()) {
    SCOPED_TRACE(name);
    expect_steps_are_rows(genome, at::kDouble, 1e-9);
    expect_steps_are_rows(genome, at::kFloat, 1e-4);
  }
}

TEST(Generation, IsTheParallelFormForBaselinesAndRandomGenomes) {
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"})
    expect_steps_are_rows(genome::baseline(catalogue, name, 6), at::kDouble, 1e-9);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    expect_steps_are_rows(random_genome(4 + seed % 7, seed), at::kDouble, 1e-9);
    expect_steps_are_rows(random_genome(4 + seed % 7, seed), at::kFloat, 1e-4);
  }
}

TEST(Generation, IsTheParallelFormForPathGroups) {
  for (const auto& [name, genome] : path_genomes()) {
    SCOPED_TRACE(name);
    expect_steps_are_rows(genome, at::kDouble, 1e-9);
    expect_steps_are_rows(genome, at::kFloat, 1e-4);
  }
}

TEST(Generation, TakesAPromptInOneCallAsWell) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto model = make(random_genome(8, seed), at::kDouble);
    const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, seed);
    const c10::NoGradGuard no_gradient;
    const auto whole = model.logits(tokens);
    const auto state = model.begin(2, 20);
    EXPECT_LT(largest_difference(model.extend(tokens.narrow(1, 0, 4), *state), whole.select(1, 3)), 1e-9);
    EXPECT_LT(largest_difference(model.step(tokens.select(1, 4), *state), whole.select(1, 4)), 1e-9);
    EXPECT_LT(largest_difference(model.extend(tokens.narrow(1, 5, 4), *state), whole.select(1, 8)), 1e-9);
  }
}

TEST(Generation, KeepsTwoStatesOfOneModelApart) {
  const auto model = make(random_genome(8, 3), at::kDouble);
  const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, 1);
  const c10::NoGradGuard no_gradient;
  const auto first = model.begin(1, tiny.length);
  const auto second = model.begin(1, tiny.length);
  const auto whole = model.logits(tokens);
  for (std::int64_t t = 0; t < tiny.length; ++t) {
    EXPECT_LT(largest_difference(model.step(tokens.narrow(0, 0, 1).select(1, t), *first), whole.narrow(0, 0, 1).select(1, t)), 1e-9);
    EXPECT_LT(largest_difference(model.step(tokens.narrow(0, 1, 1).select(1, t), *second), whole.narrow(0, 1, 1).select(1, t)), 1e-9);
  }
}

TEST(Generation, RefusesMoreTokensThanItHasRoomFor) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 2), at::kFloat);
  const auto state = model.begin(1, 2);
  const auto token = token_tensor(1, 1, tiny.vocabulary, 1).select(1, 0);
  model.step(token, *state);
  model.step(token, *state);
  EXPECT_THROW(model.step(token, *state), std::length_error);
}

TEST(Generation, RefusesABatchThatIsNotItsOwn) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 2), at::kFloat);
  const auto state = model.begin(2, 4);
  EXPECT_THROW(model.step(token_tensor(3, 1, tiny.vocabulary, 1).select(1, 0), *state), std::invalid_argument);
}

TEST(Generation, NeedsNoGradient) {
  const auto model = make(genome::baseline(catalogue, "striped-mamba", 4), at::kFloat);
  const auto state = model.begin(1, 4);
  EXPECT_FALSE(model.step(token_tensor(1, 1, tiny.vocabulary, 1).select(1, 0), *state).requires_grad());
}

}  // namespace
}  // namespace starling::model
