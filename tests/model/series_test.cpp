// Models of real-valued series: what enters and leaves, the loss over what is not missing, generation, numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/inverse.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include <starling/genome/baselines.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/model.hpp>

#include "model_support.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

using reference::largest_difference;
using reference::random_tensor;

const auto& catalogue = genome::Catalogue::liquid();
constexpr genome::Dimensions tiny{.width = 16, .length = 9, .channels = 3};
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

Model make(const genome::Genome& genome, at::ScalarType dtype = at::kDouble, const genome::Dimensions& dimensions = tiny) {
  return {catalogue, genome, dimensions, 5, Model::Initialization::glorot, dtype};
}

at::Tensor numbers(std::uint64_t seed, std::int64_t batch = 2, const genome::Dimensions& dimensions = tiny) {
  Stream stream(seed, Purpose::test);
  return random_tensor({batch, dimensions.length, dimensions.channels}, stream);
}

std::vector<NamedGenome> some_genomes() {
  auto genomes = path_genomes();
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
    genomes.push_back({name, genome::baseline(catalogue, name, 4)});
  }
  for (std::uint64_t seed = 0; seed < 4; ++seed) genomes.push_back({"random", random_genome(6, seed)});
  return genomes;
}

TEST(SeriesModel, PutsLinearMapsInThePlaceOfTheEmbedding) {
  // As many different rows as channels of the model: a token model whose embedding is W_in s + b_in of each has the same hidden states, and
  // they follow from its logits.
  const genome::Dimensions sizes{.width = 16, .length = 8, .channels = 20};
  const genome::Dimensions of_tokens{.width = 16, .length = 8, .vocabulary = 16};
  const auto genome = genome::baseline(catalogue, "striped-mamba", 4);
  const auto model = perturbed(catalogue, genome, sizes, at::kDouble);
  const auto plain = make(genome, at::kDouble, of_tokens);
  const c10::NoGradGuard no_gradient;
  const auto values = numbers(1, 2, sizes);
  for (const auto& weight : plain.parameters()) {
    if (weight.name != "embedding") weight.value.copy_(parameter(model, weight.name));
  }
  const auto embedding = parameter(plain, "embedding");
  const auto entered = at::matmul(values, parameter(model, "input.weight").t()) + parameter(model, "input.bias");
  embedding.copy_(entered.view({16, 16}));
  auto tokens = token_tensor(2, 8, 16, 1);
  for (std::int64_t i = 0; i < 16; ++i) tokens.data_ptr<std::int64_t>()[i] = i;
  const auto hidden = at::matmul(plain.logits(tokens), at::inverse(embedding.t()));
  const auto expected = at::matmul(hidden, parameter(model, "output.weight").t()) + parameter(model, "output.bias") +
                        parameter(model, "output.skip") * values;
  EXPECT_LT(largest_difference(model.logits(values), expected), 1e-8);
}

TEST(SeriesModel, LosesTheMeanSquaredErrorOverWhatIsNotMissing) {
  const auto model = perturbed(catalogue, genome::baseline(catalogue, "striped-mamba", 4), tiny, at::kDouble);
  const auto values = numbers(2);
  auto targets = numbers(3);
  targets[0].slice(0, 6).fill_(missing);  // padding
  targets[1][2][1].fill_(missing);
  const auto predictions = model.logits(values).detach();
  double sum = 0;
  std::int64_t counted = 0;
  for (std::int64_t sequence = 0; sequence < 2; ++sequence) {
    for (std::int64_t t = 0; t < 9; ++t) {
      for (std::int64_t c = 0; c < 3; ++c) {
        const double target = targets[sequence][t][c].item<double>();
        if (std::isnan(target)) continue;
        sum += std::pow(predictions[sequence][t][c].item<double>() - target, 2);
        ++counted;
      }
    }
  }
  EXPECT_EQ(counted, 6 * 3 + 9 * 3 - 1);
  EXPECT_NEAR(model.loss(values, targets).item<double>(), sum / static_cast<double>(counted), 1e-12);
  const auto score = model.score(values, targets);
  EXPECT_NEAR(score.sum, sum, 1e-11);
  EXPECT_EQ(score.counted, counted);
  // What is behind the padding changes nothing, neither does the gradient of what is missing.
  auto changed = values.clone();
  changed[0].slice(0, 6).fill_(7);
  EXPECT_EQ(model.loss(changed, targets).item<double>(), model.loss(values, targets).item<double>());
  model.loss(values, targets).backward();
  for (const auto& weight : model.parameters()) {
    EXPECT_TRUE(weight.value.grad().isfinite().all().item<bool>()) << weight.name;
    EXPECT_GT(weight.value.grad().abs().max().item<double>(), 0) << weight.name;
  }
}

TEST(SeriesModel, LosesNothingWhereEverythingIsMissing) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 2));
  const auto targets = numbers(1).fill_(missing);
  const auto loss = model.loss(numbers(2), targets);
  EXPECT_EQ(loss.item<double>(), 0);
  loss.backward();
  for (const auto& weight : model.parameters()) EXPECT_EQ(weight.value.grad().abs().max().item<double>(), 0) << weight.name;
  EXPECT_EQ(model.score(numbers(2), targets).counted, 0);
}

TEST(SeriesModel, InPartsAndComputedAgainHasTheLossAndGradientsOfTheWholeBatch) {
  const auto model = perturbed(catalogue, genome::baseline(catalogue, "striped-mamba", 4), tiny, at::kDouble);
  const auto values = numbers(2, 4);
  auto targets = numbers(3, 4);
  targets[0].slice(0, 2).fill_(missing);
  targets[2].fill_(missing);
  targets[3][4][1].fill_(missing);
  const auto gradients_of = [&](const std::vector<std::int64_t>& parts, Model::Pass pass) {
    for (const auto& weight : model.parameters()) weight.value.mutable_grad().reset();
    pass.counted = 2 * 3 + 9 * 3 + 9 * 3 - 1;
    double loss = 0;
    for (const auto count : parts) {
      const auto share = model.loss(values.narrow(0, pass.first_sequence, count), targets.narrow(0, pass.first_sequence, count), pass);
      share.backward();
      loss += share.item<double>();
      pass.first_sequence += count;
    }
    std::vector<at::Tensor> gradients{at::scalar_tensor(loss, at::kDouble)};
    for (const auto& weight : model.parameters()) gradients.push_back(weight.value.grad().clone());
    return gradients;
  };
  const auto whole = gradients_of({4}, {});
  EXPECT_NEAR(whole[0].item<double>(), model.loss(values, targets).item<double>(), 1e-12);
  for (const double dropout : {0.0, 0.3}) {
    const Model::Pass pass{.dropout = dropout, .dropout_seed = 4};
    const auto expected = gradients_of({4}, pass);
    EXPECT_EQ(dropout > 0, largest_difference(expected[0], whole[0]) > 1e-6);
    for (const bool again : {false, true}) {
      auto same = pass;
      same.recompute = again;
      const auto found = gradients_of({1, 2, 1}, same);
      for (std::size_t i = 0; i < found.size(); ++i) EXPECT_LT(largest_difference(found[i], expected[i]), 1e-10) << i << ' ' << again;
    }
  }
}

TEST(SeriesModel, HasTheGradientOfCentralDifferences) {
  auto targets = numbers(9);
  targets[1].slice(0, 7).fill_(missing);
  const auto values = numbers(8);
  for (const auto& [name, genome] : some_genomes()) {
    const auto model = perturbed(catalogue, genome, tiny, at::kDouble);
    std::vector<at::Tensor> leaves;
    for (const auto& weight : model.parameters()) leaves.push_back(weight.value);
    const auto error = reference::check_gradients([&] { return model.loss(values, targets); }, leaves, 2);
    EXPECT_LT(error.largest, 1e-7) << name;
  }
}

TEST(SeriesModel, GivesTheSameRowByRow) {
  for (const auto& [name, genome] : some_genomes()) {
    SCOPED_TRACE(name);
    expect_steps_are_rows(perturbed(catalogue, genome, tiny, at::kDouble), tiny, 1e-10);
    expect_steps_are_rows(perturbed(catalogue, genome, tiny, at::kFloat), tiny, 2e-3);
  }
  const auto model = perturbed(catalogue, genome::baseline(catalogue, "striped-mamba", 4), tiny, at::kDouble);
  const c10::NoGradGuard no_gradient;
  const auto values = numbers(4);
  const auto state = model.begin(2, 9);
  model.extend(values.narrow(1, 0, 4), *state);
  EXPECT_LT(largest_difference(model.extend(values.narrow(1, 4, 5), *state), model.logits(values).select(1, 8)), 1e-10);
}

TEST(SeriesModel, RefusesInputsOfAnotherShape) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 2));
  const auto state = model.begin(2, 9);
  EXPECT_THROW(model.extend(token_tensor(2, 3, 5, 1), *state), std::invalid_argument);
  EXPECT_THROW(model.extend(numbers(1).narrow(2, 0, 2), *state), std::invalid_argument);
  EXPECT_THROW(model.loss(numbers(1), numbers(1).narrow(2, 0, 1)), std::invalid_argument);
}

TEST(SeriesModel, IsCausal) {
  const auto model = perturbed(catalogue, genome::baseline(catalogue, "striped-hyena", 4), tiny, at::kDouble);
  const c10::NoGradGuard no_gradient;
  const auto before = model.logits(numbers(1));
  for (std::int64_t t = 0; t < tiny.length; ++t) {
    auto changed = numbers(1);
    changed.select(1, t).add_(1);
    const auto after = model.logits(changed);
    EXPECT_EQ(largest_difference(after.narrow(1, 0, t), before.narrow(1, 0, t)), 0.0);
    EXPECT_GT(largest_difference(after.select(1, t), before.select(1, t)), 0.0);
  }
}

TEST(SeriesModel, HasTheNumbersOfTheFormulas) {
  for (const auto& [name, genome] : some_genomes()) {
    SCOPED_TRACE(name);
    for (const std::int64_t channels : {1, 3, 40}) expect_counts(catalogue, genome, {.width = 16, .length = 8, .channels = channels});
  }
  const auto genome = genome::baseline(catalogue, "transformer++", 4);
  const auto tokens = genome::account(catalogue, genome, {.width = 64, .length = 8, .vocabulary = 100});
  const auto series = genome::account(catalogue, genome, {.width = 64, .length = 8, .channels = 5});
  EXPECT_EQ(series.parameters.embedding, 64 * 5 + 64 + 5 * 64 + 5 + 5);
  EXPECT_EQ(series.parameters.without_embedding(), tokens.parameters.without_embedding());
  EXPECT_EQ(series.cache.elements(8), tokens.cache.elements(8));
  // Two multiplications and additions per token and element of the projections, three times for training.
  EXPECT_EQ(series.training_flops - tokens.training_flops, 3 * (2 * 2 * 64 * 5 - 2 * 64 * 100));
}

TEST(SeriesModel, StartsNearTheLastValueAndSeesMoreThanTheSignOfASingleColumn) {
  const genome::Dimensions sizes{.width = 64, .length = 32, .channels = 1};
  const auto genome = genome::baseline(catalogue, "transformer++", 4);
  for (const auto rule : {Model::Initialization::glorot, Model::Initialization::he}) {
    const Model model(catalogue, genome, sizes, 3, rule, at::kFloat);
    const auto values = numbers(1, 4, sizes), targets = numbers(2, 4, sizes);
    const double of_last_value = (values - targets).square().mean().item<double>();
    EXPECT_NEAR(model.loss(values, targets).item<double>(), of_last_value, 0.2 * of_last_value);
    // RMSNorm takes the size of what enters: 0.5 and 2 have to differ in direction.
    const c10::NoGradGuard no_gradient;
    const auto enter = [&](double value) { return parameter(model, "input.weight").squeeze(1) * value + parameter(model, "input.bias"); };
    const auto a = enter(0.5), b = enter(2);
    EXPECT_LT(((a * b).sum() / (a.norm() * b.norm())).item<double>(), 0.95);
  }
}

TEST(SeriesModel, InBfloat16EntersAndLeavesInFloat) {
  const auto genome = genome::baseline(catalogue, "striped-mamba", 4);
  const genome::Dimensions sizes{.width = 64, .length = 9, .channels = 3};
  const auto rounded = make(genome, at::kBFloat16, sizes), exact = make(genome, at::kFloat, sizes);
  const auto values = numbers(1, 2, sizes), targets = numbers(2, 2, sizes);
  const auto predictions = rounded.logits(values);
  EXPECT_EQ(predictions.scalar_type(), at::kFloat);
  EXPECT_LT(largest_difference(predictions.to(at::kDouble), exact.logits(values).to(at::kDouble)), 0.02);
  EXPECT_GT(largest_difference(predictions.to(at::kDouble), exact.logits(values).to(at::kDouble)), 0) << "computed in bfloat16";
  const auto loss = rounded.loss(values, targets);
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  loss.backward();
  for (const auto& weight : rounded.parameters()) {
    EXPECT_EQ(weight.value.grad().scalar_type(), at::kFloat) << weight.name;
    EXPECT_EQ(weight.copy.defined(), weight.matrix) << weight.name;
  }
}

TEST(SeriesModel, NamesItsEnds) {
  const auto model = make(genome::parse_genome("1111110-8111110"));
  std::vector<std::string> names;
  for (const auto& weight : model.parameters()) names.push_back(weight.name);
  EXPECT_THAT(names, testing::ElementsAre("input.weight", "input.bias", "livs.0.norm", "livs.0.bank.q", "livs.0.bank.k", "livs.0.bank.v",
                                          "livs.0.out", "livs.1.norm", "livs.1.bank.gate", "livs.1.bank.value", "livs.1.out", "norm",
                                          "output.weight", "livs.0.path.weight", "livs.1.path.weight", "output.bias", "output.skip"));
}

TEST(SeriesModel, LearnsToPredictWavesFromWhatItHasSeen) {
  const genome::Dimensions sizes{.width = 16, .length = 16, .channels = 2};
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
    const auto model = make(genome::baseline(catalogue, name, 4), at::kFloat, sizes);
    std::vector<at::Tensor> rows;
    for (std::int64_t t = 0; t <= 16 * 4; ++t) {
      const auto x = static_cast<double>(t);
      rows.push_back(at::stack({at::scalar_tensor(std::sin(x / 2)), at::scalar_tensor(std::cos(x / 3))}));
    }
    const auto series = at::stack(rows).to(at::kFloat);
    const auto values = series.slice(0, 0, 64).view({4, 16, 2}), targets = series.slice(0, 1, 65).view({4, 16, 2});
    const double start = model.loss(values, targets).item<double>();
    double end = start;
    for (int step = 0; step < 300; ++step) {
      const auto loss = model.loss(values, targets);
      loss.backward();
      end = loss.item<double>();
      const c10::NoGradGuard no_gradient;
      for (const auto& weight : model.parameters()) {
        weight.value.sub_(weight.value.grad(), 0.05);
        weight.value.mutable_grad() = at::Tensor();
      }
    }
    EXPECT_LT(end, 0.25 * start) << name << ": the start is the loss of the last value";
  }
}

}  // namespace
}  // namespace starling::model
