// The whole model against its equations: logits, gradients, loss, causality, initial weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/inverse.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>
#include <stdexcept>

#include <starling/base/error.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/variation.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/model.hpp>
#include <starling/model/readout.hpp>

#include "model_support.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

using reference::largest_difference;

const auto& catalogue = genome::Catalogue::liquid();
constexpr genome::Dimensions tiny{.width = 16, .length = 9, .vocabulary = 11};

Model make(const genome::Genome& genome, at::ScalarType dtype = at::kDouble, std::uint64_t seed = 5, genome::Dimensions dimensions = tiny) {
  return {catalogue, genome, dimensions, seed, Model::Initialization::glorot, dtype};
}

/// Weights far from their gentle start, so that errors show.
void stir(const Model& model, std::uint64_t seed) {
  Stream stream(seed, Purpose::test);
  const c10::NoGradGuard no_gradient;
  for (const auto& parameter : model.parameters()) {
    parameter.value.add_(reference::random_tensor(parameter.value.sizes().vec(), stream, 0.2));
  }
}

std::vector<std::int64_t> row(const at::Tensor& tokens, std::int64_t sequence) {
  const auto* const values = tokens.data_ptr<std::int64_t>() + sequence * tokens.size(1);
  return {values, values + tokens.size(1)};
}

void expect_reference(const genome::Genome& genome, std::size_t heads, genome::Dimensions dimensions) {
  const auto model = make(genome, at::kDouble, 5, dimensions);
  stir(model, 6);
  const auto tokens = token_tensor(2, dimensions.length, dimensions.vocabulary, 7);
  const auto logits = model.logits(tokens);
  for (std::int64_t sequence = 0; sequence < 2; ++sequence) {
    const auto expected = reference::to_tensor(reference_logits(genome, model, row(tokens, sequence), heads));
    EXPECT_LT(largest_difference(logits.select(0, sequence), expected), 1e-9) << genome::to_text(genome);
  }
}

TEST(Model, IsItsEquationsForTheBaselines) {
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"})
    expect_reference(genome::baseline(catalogue, name, 6), 4, tiny);
}

TEST(Model, IsItsEquationsForEveryClassAndSharingStrategy) {
  for (const auto& [name, genome] : sharing_genomes()) {
    SCOPED_TRACE(name);
    expect_reference(genome, 4, tiny);
  }
}

TEST(Model, IsItsEquationsForRandomGenomes) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) expect_reference(random_genome(4 + seed % 7, seed), 4, tiny);
}

TEST(Model, IsItsEquationsForPathGroups) {
  for (const auto& [name, genome] : path_genomes()) {
    SCOPED_TRACE(name);
    expect_reference(genome, 4, tiny);
  }
}

TEST(Model, OfTheCatalogueStarIsThatOfItsClassesInLiquid) {
  const auto& star = genome::Catalogue::star();
  const std::vector<std::int16_t> ids_in_liquid = {1, 23, 3, 22, 4, 5, 6, 7, 8, 14, 25, 16, 24, 17, 18, 19, 20};
  ASSERT_EQ(star.classes().size(), ids_in_liquid.size());
  const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, 1);
  for (std::int16_t id = 1; id <= 17; ++id) {
    const genome::Genome of_star{{{.liv_class = id, .feature_strategy = 2}, {.liv_class = id, .feature_strategy = 2}}};
    auto of_liquid = of_star;
    for (auto& liv : of_liquid.livs) liv.liv_class = ids_in_liquid[static_cast<std::size_t>(id) - 1];
    const Model model(star, of_star, tiny, 5, Model::Initialization::glorot, at::kDouble);
    EXPECT_TRUE(model.logits(tokens).equal(make(of_liquid).logits(tokens))) << star.at(id).name;
  }
}

TEST(Model, HasTheNumberOfHeadsOfItsWidth) {
  expect_reference(genome::baseline(catalogue, "transformer++", 2), 8, {.width = 512, .length = 5, .vocabulary = 3});
}

TEST(Model, HasTheGradientOfCentralDifferencesWhateverIsShared) {
  std::vector<genome::Genome> genomes = {genome::baseline(catalogue, "striped-mamba", 4)};
  for (std::uint64_t seed = 100; seed < 106; ++seed) genomes.push_back(random_genome(8, seed));
  for (const auto& shared : sharing_genomes()) genomes.push_back(shared.genome);
  for (const auto& parallel : path_genomes()) genomes.push_back(parallel.genome);
  const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, 8);
  const auto targets = token_tensor(2, tiny.length, tiny.vocabulary, 9);
  for (const auto& genome : genomes) {
    const auto model = make(genome);
    stir(model, 10);
    std::vector<at::Tensor> leaves;
    for (const auto& parameter : model.parameters()) leaves.push_back(parameter.value);
    const auto error = reference::check_gradients([&] { return model.loss(tokens, targets); }, leaves, 6);
    EXPECT_LT(error.largest, 1e-7) << genome::to_text(genome);
    std::int64_t least = 0;
    for (const auto& leaf : leaves) least += std::min<std::int64_t>(6, leaf.numel());
    EXPECT_GE(error.compared, least);
  }
}

void expect_causal(const genome::Genome& genome, std::uint64_t seed) {
  const auto model = make(genome);
  stir(model, seed);
  const c10::NoGradGuard no_gradient;
  const auto tokens = token_tensor(1, tiny.length, tiny.vocabulary, seed);
  const auto before = model.logits(tokens);
  for (std::int64_t t = 0; t < tiny.length; ++t) {
    auto changed = tokens.clone();
    changed.select(1, t).add_(1).remainder_(tiny.vocabulary);
    const auto after = model.logits(changed);
    EXPECT_EQ(largest_difference(after.narrow(1, 0, t), before.narrow(1, 0, t)), 0.0) << genome::to_text(genome) << " token " << t;
    EXPECT_GT(largest_difference(after.select(1, t), before.select(1, t)), 0.0);
  }
}

TEST(Model, IsCausal) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) expect_causal(random_genome(8, seed + 200), seed);
}

TEST(Model, OfPathGroupsIsCausal) {
  for (const auto& [name, genome] : path_genomes()) expect_causal(genome, 1);
}

TEST(Model, ComputesInFloatWhatItComputesInDouble) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto genome = random_genome(8, seed + 300);
    const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, seed);
    const auto exact = make(genome).logits(tokens);
    EXPECT_LT(largest_difference(make(genome, at::kFloat).logits(tokens), exact), 1e-5);
  }
  for (const auto& [name, genome] : path_genomes()) {
    const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, 1);
    EXPECT_LT(largest_difference(make(genome, at::kFloat).logits(tokens), make(genome).logits(tokens)), 1e-5) << name;
  }
}

double norm_of(const std::vector<at::Tensor>& tensors) {
  double squares = 0;
  for (const auto& tensor : tensors) squares += tensor.to(at::kDouble).square().sum().item<double>();
  return std::sqrt(squares);
}

TEST(Model, ComputesInBfloat16NearWhatItComputesInDouble) {
  // Heads of 16: in those of 4, T₁ v − λ T₂ v comes close to 0 as a whole, and the norm behind it makes noise of any rounding.
  constexpr genome::Dimensions wide{.width = 64, .length = 9, .vocabulary = 11};
  auto genomes = path_genomes();
  for (auto& shared : sharing_genomes()) genomes.push_back(std::move(shared));
  for (std::uint64_t seed = 400; seed < 410; ++seed) genomes.push_back({std::to_string(seed), random_genome(8, seed)});
  const auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, 8);
  const auto targets = token_tensor(2, tiny.length, tiny.vocabulary, 9);
  for (const auto& [name, genome] : genomes) {
    SCOPED_TRACE(name);
    const auto rounded = make(genome, at::kBFloat16, 5, wide), exact = make(genome, at::kDouble, 5, wide);
    const auto logits = rounded.logits(tokens);
    EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
    const auto expected = exact.logits(tokens).detach();
    EXPECT_LT(norm_of({logits.detach().to(at::kDouble) - expected}), 0.04 * norm_of({expected}));

    const auto loss = rounded.loss(tokens, targets);
    EXPECT_EQ(loss.scalar_type(), at::kFloat);
    EXPECT_NEAR(loss.item<double>(), exact.loss(tokens, targets).item<double>(), 3e-3);
    EXPECT_NEAR(rounded.score(tokens, targets).sum / static_cast<double>(targets.numel()), loss.item<double>(), 1e-5);
    loss.backward();
    exact.loss(tokens, targets).backward();
    std::vector<at::Tensor> all, differences;
    for (std::size_t i = 0; i < exact.parameters().size(); ++i) {
      const auto& found = rounded.parameters()[i].value;
      ASSERT_TRUE(found.grad().defined()) << rounded.parameters()[i].name;
      EXPECT_EQ(found.grad().scalar_type(), at::kFloat);
      all.push_back(exact.parameters()[i].value.grad());
      differences.push_back(found.grad().to(at::kDouble) - all.back());
    }
    EXPECT_LT(norm_of(differences), 0.1 * norm_of(all));
  }
}

TEST(Model, InBfloat16HasFloatWeightsWithRoundedCopiesAndGeneratesInFloat) {
  const auto genome = genome::baseline(catalogue, "striped-mamba", 4);
  const auto rounded = make(genome, at::kBFloat16), exact = make(genome, at::kFloat);
  int copies = 0;
  for (std::size_t i = 0; i < exact.parameters().size(); ++i) {
    const auto& [name, value, matrix, decay, copy] = rounded.parameters()[i];
    EXPECT_TRUE(value.equal(exact.parameters()[i].value)) << name;
    EXPECT_EQ(copy.defined(), matrix || name == "embedding") << name;
    EXPECT_FALSE(exact.parameters()[i].copy.defined());
    if (!copy.defined()) continue;
    ++copies;
    EXPECT_TRUE(copy.equal(value.to(at::kBFloat16))) << name;
  }
  EXPECT_GT(copies, 10);
  const auto state = rounded.begin(2, 3), expected = exact.begin(2, 3);
  for (std::int64_t t = 0; t < 3; ++t) {
    const auto tokens = token_tensor(2, 1, tiny.vocabulary, static_cast<std::uint64_t>(t)).squeeze(1);
    EXPECT_TRUE(rounded.step(tokens, *state).equal(exact.step(tokens, *expected)));
  }
}

TEST(Loss, IsTheMeanCrossEntropyOfTheLogitsOverTheTargetsThatCount) {
  const auto model = make(genome::baseline(catalogue, "striped-mamba", 4));
  stir(model, 1);
  const auto tokens = token_tensor(2, 5, tiny.vocabulary, 2);
  auto targets = token_tensor(2, 5, tiny.vocabulary, 3);
  targets.select(1, 1).fill_(-100);
  targets.select(1, 4).fill_(-100);
  const auto log_probability = at::log_softmax(model.logits(tokens), -1);
  double sum = 0;
  for (int sequence = 0; sequence < 2; ++sequence) {
    for (const int t : {0, 2, 3}) sum -= log_probability[sequence][t][targets[sequence][t].item<std::int64_t>()].item<double>();
  }
  EXPECT_NEAR(model.loss(tokens, targets).item<double>(), sum / 6, 1e-12);

  const auto score = model.score(tokens, targets);
  EXPECT_EQ(score.counted, 6);
  EXPECT_NEAR(score.sum, sum, 1e-11);
  EXPECT_TRUE(score.predictions.equal(log_probability.argmax(-1)));
}

TEST(Loss, OfPaddedSequencesIsThatOfEachAloneForEveryClassAndSharingStrategy) {
  constexpr std::int64_t lengths[] = {9, 5};
  for (const auto& [name, genome] : sharing_genomes()) {
    const auto model = make(genome);
    stir(model, 2);
    auto tokens = token_tensor(2, tiny.length, tiny.vocabulary, 3);
    auto targets = token_tensor(2, tiny.length, tiny.vocabulary, 4);
    targets[1].slice(0, lengths[1]).fill_(-100);
    double nats = 0;
    for (int sequence = 0; sequence < 2; ++sequence) {
      const auto alone = [&](const at::Tensor& batch) { return batch.narrow(0, sequence, 1).narrow(1, 0, lengths[sequence]).contiguous(); };
      nats += model.score(alone(tokens), alone(targets)).sum;
    }
    const auto gradients = [&] {
      std::vector<at::Tensor> all;
      model.loss(tokens, targets).backward();
      for (const auto& parameter : model.parameters()) {
        all.push_back(parameter.value.grad().clone());
        parameter.value.mutable_grad().zero_();
      }
      return all;
    };
    EXPECT_NEAR(model.loss(tokens, targets).item<double>(), nats / (9 + 5), 1e-12) << name;
    const auto before = gradients();
    tokens[1].slice(0, lengths[1]).fill_(7);
    const auto after = gradients();
    for (std::size_t i = 0; i < before.size(); ++i) {
      // The padding tokens' own embeddings have no gradient either way.
      EXPECT_EQ(largest_difference(before[i], after[i]), 0.0) << name << ' ' << model.parameters()[i].name;
    }
  }
}

TEST(Loss, BeforeTrainingIsThatOfAUniformGuess) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 6), at::kFloat, 5, {.width = 64, .length = 32, .vocabulary = 256});
  const auto loss = model.loss(token_tensor(2, 32, 256, 1), token_tensor(2, 32, 256, 2));
  EXPECT_NEAR(loss.item<double>(), std::log(256.0), 0.1);
}

TEST(Loss, RefusesATargetOutsideTheVocabulary) {
  const auto model = make(genome::baseline(catalogue, "transformer++", 2));
  const auto tokens = token_tensor(1, 4, tiny.vocabulary, 1);
  EXPECT_THROW(model.loss(tokens, tokens + tiny.vocabulary), std::out_of_range);
}

TEST(Readout, IsItsEquation) {
  constexpr std::int64_t width = 6, length = 4;
  Stream stream(1, Purpose::test);
  const auto hidden = reference::random_tensor({1, length, width}, stream);
  const Readout readout{reference::random_tensor({width, width}, stream), reference::random_tensor({width, width}, stream)};
  const auto decoded = readout.decode(hidden);
  for (std::int64_t place = 0; place < length; ++place) {
    std::array<double, width> x{}, inner{};
    for (std::size_t c = 0; c < width; ++c) {
      const double angle = static_cast<double>(place) * std::pow(10'000.0, -static_cast<double>(c % 3) / 3);
      x[c] = hidden[0][length - 1][static_cast<std::int64_t>(c)].item<double>() + (c < 3 ? std::sin(angle) : std::cos(angle));
    }
    const auto row = [](const at::Tensor& matrix, std::size_t out, const std::array<double, width>& in) {
      double sum = 0;
      for (std::size_t c = 0; c < width; ++c)
        sum += matrix[static_cast<std::int64_t>(out)][static_cast<std::int64_t>(c)].item<double>() * in[c];
      return sum;
    };
    for (std::size_t c = 0; c < width; ++c) {
      const double u = row(readout.up, c, x);
      inner[c] = 0.5 * u * (1 + std::erf(u / std::sqrt(2.0)));
    }
    for (std::size_t c = 0; c < width; ++c) {
      EXPECT_NEAR(decoded[0][place][static_cast<std::int64_t>(c)].item<double>(), row(readout.down, c, inner), 1e-12);
    }
  }
}

TEST(Model, ThatReconstructsDecodesItsLastOutput) {
  // As many tokens as channels: hidden states follow from logits.
  const genome::Dimensions plain_sizes{.width = 16, .length = 9, .vocabulary = 16};
  auto sizes = plain_sizes;
  sizes.reconstructs = true;
  const auto genome = genome::baseline(catalogue, "striped-mamba", 4);
  const auto model = make(genome, at::kDouble, 5, sizes);
  stir(model, 4);
  const auto plain = make(genome, at::kDouble, 5, plain_sizes);
  const c10::NoGradGuard no_gradient;
  for (const auto& weight : plain.parameters()) weight.value.copy_(parameter(model, weight.name));
  const auto tokens = token_tensor(2, 9, 16, 6);
  const auto embedding = parameter(model, "embedding");
  const auto hidden = at::matmul(plain.logits(tokens), at::inverse(embedding.t()));
  const Readout readout{parameter(model, "decoder.up"), parameter(model, "decoder.down")};
  const auto expected = at::matmul(readout.decode(hidden), embedding.t());
  EXPECT_LT(largest_difference(model.logits(tokens), expected), 1e-8);
  EXPECT_THROW(model.begin(1, 9), UserError);
  std::int64_t elements = 0;
  for (const auto& weight : model.parameters()) elements += weight.value.numel();
  EXPECT_EQ(genome::account(catalogue, genome, sizes).parameters.total(), elements);
}

TEST(Weights, AreTheSameBitsFromTheSameSeedAndOthersFromAnother) {
  const auto genome = random_genome(8, 4);
  const auto one = make(genome, at::kFloat, 17);
  const auto same = make(genome, at::kFloat, 17);
  const auto other = make(genome, at::kFloat, 18);
  for (std::size_t i = 0; i < one.parameters().size(); ++i) {
    EXPECT_TRUE(one.parameters()[i].value.equal(same.parameters()[i].value));
  }
  EXPECT_FALSE(one.parameters()[0].value.equal(other.parameters()[0].value));
  const auto first = make(genome, at::kFloat, 17).loss(token_tensor(1, 5, 11, 1), token_tensor(1, 5, 11, 2));
  const auto second = make(genome, at::kFloat, 17).loss(token_tensor(1, 5, 11, 1), token_tensor(1, 5, 11, 2));
  EXPECT_TRUE(first.equal(second));
}

TEST(Weights, ArePinned) {
  // Reckoned apart from this code: Philox and SplitMix64 in Python, the quantile by statistics.NormalDist.
  const auto model = make(genome::baseline(catalogue, "striped-mamba", 4), at::kFloat, 1);
  const auto bits = [&](const std::string& name) { return std::bit_cast<std::uint32_t>(*parameter(model, name).data_ptr<float>()); };
  EXPECT_EQ(bits("embedding"), 0xbc2e7fc2u);
  EXPECT_EQ(bits("livs.0.bank.v"), 0xbf1cbeefu);
}

TEST(Weights, HaveStableNamesAndStandAtTheirOwner) {
  genome::Genome genome = genome::parse_genome("11112-11112-81211-81211-41112-41114-61211");
  const auto model = make(genome);
  std::vector<std::string> names;
  for (const auto& parameter : model.parameters()) names.push_back(parameter.name);
  EXPECT_THAT(
      names,
      testing::ElementsAre("embedding",                                                                     //
                           "livs.0.norm", "livs.0.bank.q", "livs.0.bank.k", "livs.0.bank.v", "livs.0.out",  //
                           "livs.1.norm", "livs.1.bank.q", "livs.1.out",                                    //
                           "livs.2.norm", "livs.2.bank.gate", "livs.2.bank.value", "livs.2.out",            //
                           "livs.3.norm", "livs.3.out",                                                     //
                           "livs.4.norm", "livs.4.bank.v", "livs.4.bank.z", "livs.4.bank.B", "livs.4.bank.C", "livs.4.bank.A.down",
                           "livs.4.bank.A.up", "livs.4.bank.A.bias", "livs.4.bank.A.log", "livs.4.bank.v.taps", "livs.4.out", "livs.4.D",
                           "livs.5.norm", "livs.5.bank.v", "livs.5.bank.z", "livs.5.bank.B", "livs.5.bank.A.down", "livs.5.bank.A.up",
                           "livs.5.bank.A.bias", "livs.5.bank.A.log", "livs.5.bank.v.taps", "livs.5.out", "livs.5.D",        //
                           "livs.6.norm", "livs.6.bank.B", "livs.6.bank.C", "livs.6.bank.v", "livs.6.bank.K", "livs.6.out",  //
                           "norm"));
}

TEST(Weights, OfAPathGroupStartAtOneOverTheRootOfItsSizeAndDoNotDecay) {
  const auto model = make(genome::parse_genome("1111110-8111110-6111120-6111120-6111120-81111"));
  for (const auto& [liv, size] : {std::pair{0, 2}, {1, 2}, {2, 3}, {3, 3}, {4, 3}}) {
    const auto name = "livs." + std::to_string(liv) + ".path.weight";
    EXPECT_NEAR(std::exp(parameter(model, name).item<double>()), 1 / std::sqrt(size), 1e-15);
  }
  for (const auto& candidate : model.parameters()) {
    if (!candidate.name.ends_with("path.weight")) continue;
    EXPECT_FALSE(candidate.decay || candidate.matrix) << candidate.name;
  }
  EXPECT_EQ(model.parameters().back().name, "livs.4.path.weight");
}

TEST(Weights, OfRoutesStartNearlyOpenAndDoNotDecayButForTheProjection) {
  const auto model = make(genome::parse_genome("8111101-1111111-8111110"));
  const std::map<std::string, double> starts = {{"livs.0.route.bias", -3}, {"livs.0.route.tau", std::log(4)}, {"livs.0.route.delta", 0},
                                                {"livs.0.route.beta", 4},  {"livs.0.route.omega", 8},         {"livs.1.path.scale", 1}};
  for (const auto& [name, value] : starts) EXPECT_EQ(parameter(model, name).item<double>(), value) << name;
  std::vector<std::string> last;
  for (const auto& candidate : model.parameters()) {
    const bool is_composition = candidate.name.find("route.") != std::string::npos || candidate.name.find("path.") != std::string::npos;
    if (!is_composition) continue;
    EXPECT_EQ(candidate.decay, candidate.name.ends_with("route.weight")) << candidate.name;
    last.push_back(candidate.name);
  }
  EXPECT_THAT(
      last, testing::ElementsAre("livs.0.route.weight", "livs.0.route.bias", "livs.0.route.tau", "livs.0.route.delta", "livs.0.route.beta",
                                 "livs.0.route.omega", "livs.1.route.weight", "livs.1.path.weight", "livs.1.path.scale",
                                 "livs.1.route.bias", "livs.1.route.tau", "livs.1.route.delta", "livs.2.path.weight"));
}

TEST(Weights, AreThoseOfTheModelWithoutEmptyLivs) {
  const auto with = make(genome::parse_genome("01111-17.1.1.1.1-0122111-81111-14.1.1.1.1-01111"));
  const auto without = make(genome::parse_genome("17.1.1.1.1-81111-14.1.1.1.1"));
  ASSERT_EQ(with.parameters().size(), without.parameters().size());
  for (std::size_t i = 0; i < with.parameters().size(); ++i) {
    EXPECT_EQ(with.parameters()[i].name, without.parameters()[i].name);
    EXPECT_TRUE(with.parameters()[i].value.equal(without.parameters()[i].value)) << with.parameters()[i].name;
  }
  const auto tokens = token_tensor(1, tiny.length, tiny.vocabulary, 1);
  EXPECT_TRUE(with.logits(tokens).equal(without.logits(tokens))) << "λ counts the LIVs that are there";
}

TEST(Weights, TakePartInEveryGradientOnce) {
  const auto model = make(random_genome(8, 21));
  model.loss(token_tensor(1, 6, 11, 1), token_tensor(1, 6, 11, 2)).backward();
  std::set<const void*> seen;
  for (const auto& parameter : model.parameters()) {
    EXPECT_TRUE(seen.insert(parameter.value.data_ptr()).second) << parameter.name;
    EXPECT_TRUE(parameter.value.is_leaf() && parameter.value.is_contiguous()) << parameter.name;
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    EXPECT_TRUE(parameter.value.grad().is_contiguous()) << parameter.name;
    EXPECT_GT(parameter.value.grad().abs().max().item<double>(), 0.0) << parameter.name;
  }
}

TEST(Weights, OfTwoBackwardPassesAddTheirGradients) {
  const auto model = make(random_genome(6, 22));
  const auto tokens = token_tensor(1, 6, 11, 1);
  const auto targets = token_tensor(1, 6, 11, 2);
  model.loss(tokens, targets).backward();
  std::vector<at::Tensor> once;
  for (const auto& parameter : model.parameters()) once.push_back(parameter.value.grad().clone());
  model.loss(tokens, targets).backward();
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_LT(largest_difference(model.parameters()[i].value.grad(), once[i] * 2), 1e-12) << model.parameters()[i].name;
  }
}

TEST(Weights, WithoutHeNormAreSmallerThanWithIt) {
  const auto genome = genome::baseline(catalogue, "transformer++", 2);
  const Model he(catalogue, genome, tiny, 3, Model::Initialization::he, at::kDouble);
  const auto ratio = parameter(he, "livs.0.bank.q") / parameter(make(genome, at::kDouble, 3), "livs.0.bank.q");
  EXPECT_LT((ratio - std::sqrt(2.0)).abs().max().item<double>(), 1e-12);
}

TEST(Model, RefusesAWidthWithoutALegalHeadSize) {
  EXPECT_THROW(make(genome::baseline(catalogue, "transformer++", 2), at::kFloat, 1, {.width = 100, .length = 8, .vocabulary = 8}),
               UserError);
}

TEST(Model, TrainsToFitASmallBatchWithPlainGradientSteps) {
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
    const auto model = make(genome::baseline(catalogue, name, 4), at::kFloat);
    const auto tokens = token_tensor(2, 8, 11, 1);
    const auto targets = token_tensor(2, 8, 11, 2);
    const double start = model.loss(tokens, targets).item<double>();
    double end = start;
    for (int step = 0; step < 150; ++step) {
      const auto loss = model.loss(tokens, targets);
      loss.backward();
      end = loss.item<double>();
      const c10::NoGradGuard no_gradient;
      for (const auto& parameter : model.parameters()) {
        parameter.value.sub_(parameter.value.grad(), 0.3);
        parameter.value.mutable_grad() = at::Tensor();
      }
    }
    EXPECT_LT(end, 0.5 * start) << name;
  }
}

}  // namespace
}  // namespace starling::model
