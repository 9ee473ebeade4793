// A model of every class, and of genomes with every kind of sharing, paths and routes, on a device beside the same on the CPU.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <starling/genome/baselines.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/model.hpp>

#include "device.hpp"
#include "model_support.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

const genome::Catalogue& catalogue() { return genome::Catalogue::liquid(); }

/// Every class of the catalogue alone, then sharing and paths.
std::vector<NamedGenome> genomes() {
  std::vector<NamedGenome> all;
  for (const auto& liv_class : catalogue().classes()) {
    const auto of_class = std::to_string(liv_class.id) + ".1.1.1.1";
    all.push_back({liv_class.name, genome::parse_genome(of_class + "-9.1.1.1.1-" + of_class)});
  }
  for (auto& named : sharing_genomes()) all.push_back(std::move(named));
  for (auto& named : path_genomes()) all.push_back(std::move(named));
  return all;
}

Model model_of(const genome::Genome& genome, const genome::Dimensions& dimensions, at::ScalarType type, const at::Device& device) {
  return {catalogue(), genome, dimensions, 5, Model::Initialization::glorot, type, device};
}

/// ‖a − b‖ / ‖b‖; +inf where an element of a is not finite.
double distance(const at::Tensor& a, const at::Tensor& b) {
  const auto exact = b.detach().cpu().to(at::kDouble);
  const auto apart = (a.detach().cpu().to(at::kDouble) - exact).norm().item<double>();
  return std::isfinite(apart) ? apart / (exact.norm().item<double>() + 1e-6) : std::numeric_limits<double>::infinity();
}

struct Batch {
  at::Tensor inputs;
  at::Tensor targets;
};

/// Loss and gradients of one pass.
void expect_the_same_pass(const Model& there, const Model& here, const Batch& batch, const Model::Pass& pass, double tolerance,
                          const std::string& name) {
  std::vector<double> losses;
  for (const auto* const model : {&there, &here}) {
    const auto loss = model->loss(batch.inputs, batch.targets, pass);
    loss.backward();
    losses.push_back(loss.item<double>());
  }
  EXPECT_NEAR(losses[0], losses[1], 0.1 * tolerance * losses[1]) << name;
  for (std::size_t i = 0; i < here.parameters().size(); ++i) {
    const auto& expected = here.parameters()[i].value.grad();
    const auto& found = there.parameters()[i].value.grad();
    ASSERT_EQ(found.defined(), expected.defined()) << name << " " << here.parameters()[i].name;
    // λ is one number for all tokens and channels: its gradient is a sum of either sign.
    const bool is_sum = here.parameters()[i].name.ends_with("lambda");
    if (!expected.defined()) continue;
    EXPECT_LT(distance(found, expected), is_sum ? 10 * tolerance : tolerance) << name << " " << here.parameters()[i].name;
  }
  for (const auto* const model : {&there, &here}) {
    for (const auto& parameter : model->parameters()) parameter.value.mutable_grad().reset();
  }
}

void expect_the_same(const genome::Genome& genome, const genome::Dimensions& dimensions, const Batch& batch, const std::string& name) {
  for (const auto& [type, tolerance] : {std::pair{at::kFloat, 5e-3}, {at::kBFloat16, 0.15}}) {
    const auto label = name + " " + c10::toString(type);
    const Model there = model_of(genome, dimensions, type, device_under_test());
    const Model here = model_of(genome, dimensions, type, at::kCPU);
    EXPECT_EQ(there.device(), device_under_test());
    for (std::size_t i = 0; i < here.parameters().size(); ++i) {
      ASSERT_TRUE(there.parameters()[i].value.cpu().equal(here.parameters()[i].value)) << label << " starts from other weights";
    }
    expect_the_same_pass(there, here, batch, {}, tolerance, label);
    expect_the_same_pass(there, here, batch, {.dropout = 0.2, .dropout_seed = 7}, tolerance, label + " with dropout");
    expect_the_same_pass(there, here, batch, {.counted = 1000, .recompute = true}, tolerance, label + " recomputed");
    if (type == at::kFloat) {
      const auto found = there.score(batch.inputs, batch.targets);
      const auto expected = here.score(batch.inputs, batch.targets);
      EXPECT_EQ(found.counted, expected.counted) << label;
      EXPECT_NEAR(found.sum / expected.sum, 1, 1e-4) << label;
    }
  }
}

Batch token_batch(const genome::Dimensions& dimensions) {
  Batch batch{token_tensor(3, dimensions.length, dimensions.vocabulary, 1), token_tensor(3, dimensions.length, dimensions.vocabulary, 2)};
  batch.targets.select(0, 1).narrow(0, 3, 5).fill_(-100);
  return batch;
}

TEST(ModelOnADevice, IsTheModelOfTheCpu) {
  const genome::Dimensions dimensions{.width = 64, .length = 100, .vocabulary = 31, .band = 32};
  for (const auto& [name, genome] : genomes()) expect_the_same(genome, dimensions, token_batch(dimensions), name);
}

TEST(ModelOnADevice, OfWidthsThatNoVectorDividesIsTheModelOfTheCpu) {
  const genome::Dimensions dimensions{.width = 48, .length = 37, .vocabulary = 257, .band = 5};
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
    expect_the_same(genome::baseline(catalogue(), name, 4), dimensions, token_batch(dimensions), name);
  }
}

TEST(ModelOnADevice, ReconstructsAndPredictsSeriesAsOnTheCpu) {
  const auto genome = genome::baseline(catalogue(), "striped-mamba", 4);
  const genome::Dimensions compression{.width = 32, .length = 20, .vocabulary = 11, .reconstructs = true};
  expect_the_same(genome, compression, token_batch(compression), "compression");
  const genome::Dimensions series{.width = 32, .length = 20, .channels = 3};
  Stream stream(4, Purpose::test);
  Batch batch{reference::random_tensor({3, 20, 3}, stream).to(at::kFloat), reference::random_tensor({3, 20, 3}, stream).to(at::kFloat)};
  batch.targets.select(2, 1).fill_(std::numeric_limits<float>::quiet_NaN());
  expect_the_same(genome, series, batch, "series");
}

TEST(ModelOnADevice, GeneratesTokenByTokenWhatItSaysOfTheWhole) {
  const genome::Dimensions dimensions{.width = 64, .length = 40, .vocabulary = 31, .band = 8};
  for (const auto& [name, genome] : genomes()) {
    SCOPED_TRACE(name);
    expect_steps_are_rows(model_of(genome, dimensions, at::kFloat, device_under_test()), dimensions, 2e-3);
  }
}

}  // namespace
}  // namespace starling::model
