// What is legal is real: random legal classes, of no catalogue, compile, learn, generate and are counted.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include <starling/base/random.hpp>
#include <starling/genome/legality.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/validity.hpp>
#include <starling/genome/variation.hpp>
#include <starling/model/model.hpp>

#include "model_support.hpp"

namespace starling::model {
namespace {

using genome::ChannelMixing;
using genome::Expansion;
using genome::FeatureGroup;
using genome::Nonlinearity;
using genome::Parametrisation;
using genome::Sparsity;
using genome::TokenMixing;

template <class T>
T pick(std::initializer_list<T> values, Stream& stream) {
  return values.begin()[stream.below(values.size())];
}

/// `recurrence`: how A of a semi-separable operator is made.
FeatureGroup random_group(std::string name, TokenMixing of_operator, Parametrisation recurrence, Stream& stream) {
  FeatureGroup group;
  group.name = std::move(name);
  const bool learned = recurrence == Parametrisation::direct || recurrence == Parametrisation::liquid;
  const bool of_state = of_operator == TokenMixing::semi_separable && (group.name == "B" || group.name == "C");
  if (group.name == "A" || (of_state && learned)) {
    group.parametrisation = group.name == "A" ? recurrence : Parametrisation::direct;
    group.channel_mixing = learned ? ChannelMixing::diagonal : ChannelMixing::dense;
    if (recurrence == Parametrisation::decay) group.expansion = pick({Expansion{2, 1, false}, Expansion{4, 1, false}}, stream);
    return group;
  }
  if (group.name == "K") {
    group.token_mixing = TokenMixing::toeplitz;
    group.channel_mixing = ChannelMixing::diagonal;
    group.parametrisation = pick({Parametrisation::direct, Parametrisation::implicit}, stream);
    if (group.parametrisation == Parametrisation::direct) group.kernel = static_cast<int>(1 + stream.below(genome::max_taps));
    return group;
  }
  group.channel_mixing = pick({ChannelMixing::diagonal, ChannelMixing::dense, ChannelMixing::grouped, ChannelMixing::monarch}, stream);
  group.nonlinearity = pick({Nonlinearity::none, Nonlinearity::none, Nonlinearity::relu, Nonlinearity::silu, Nonlinearity::gelu}, stream);
  if (stream.chance(0.4)) {
    group.token_mixing = TokenMixing::toeplitz;
    group.kernel = static_cast<int>(1 + stream.below(genome::max_taps));
  }
  if (of_operator == TokenMixing::low_rank && group.name != "q") {
    group.repeat = pick({1, 2, 4}, stream);
    group.expansion.denominator = group.repeat;
  }
  if (of_operator == TokenMixing::diagonal) group.expansion = pick({Expansion{}, Expansion{8, 3, false}, Expansion{12, 1, true}}, stream);
  if (of_state) group.expansion = pick({Expansion{2, 1, true}, Expansion{4, 1, true}}, stream);
  return group;
}

/// A class of a token mixing drawn from all its integers until they are legal; under id 1, and featurizer 1.
genome::Catalogue random_class(Stream& stream) {
  const auto token_mixing = static_cast<TokenMixing>(1 + stream.below(4));
  const auto recurrence =
      pick({Parametrisation::selective, Parametrisation::decay, Parametrisation::direct, Parametrisation::liquid}, stream);
  const std::map<TokenMixing, std::vector<std::string>> names = {{TokenMixing::diagonal, {"gate", "value"}},
                                                                 {TokenMixing::low_rank, {"q", "k", "v"}},
                                                                 {TokenMixing::toeplitz, {"B", "C", "v", "K"}},
                                                                 {TokenMixing::semi_separable, {"B", "C", "A", "v", "z"}}};
  while (true) {
    const genome::OperatorGenome op{1, token_mixing, static_cast<Sparsity>(1 + stream.below(3)),
                                    static_cast<Nonlinearity>(1 + stream.below(5)), static_cast<ChannelMixing>(1 + stream.below(4))};
    std::vector<FeatureGroup> groups;
    for (const auto& name : names.at(token_mixing)) {
      if (name == "z" && recurrence == Parametrisation::decay) continue;
      groups.push_back(random_group(name, token_mixing, recurrence, stream));
    }
    const bool differential = stream.chance(0.3);
    if (!genome::objection(op, groups, differential).empty() || !genome::objection_at(16, op, groups).empty()) continue;
    return {"random", {{1, "random", op, "", {}, differential}}, {{1, groups}}};
  }
}

std::string integers(const genome::Catalogue& catalogue) {
  const auto& liv_class = catalogue.classes().front();
  const auto number = [](auto value) { return std::to_string(static_cast<int>(value)) + ' '; };
  auto text = number(liv_class.op.token_mixing) + number(liv_class.op.sparsity) + number(liv_class.op.nonlinearity) +
              number(liv_class.op.channel_mixing) + (liv_class.differential ? "differential" : "");
  for (const auto& group : catalogue.featurizer_of(liv_class).groups) {
    text += "; " + group.name + ' ' + number(group.parametrisation) + number(group.token_mixing) + number(group.kernel) +
            number(group.nonlinearity) + number(group.channel_mixing) + number(group.repeat);
  }
  return text;
}

constexpr genome::Dimensions tiny{.width = 16, .length = 9, .vocabulary = 11, .band = 4};

TEST(LegalClasses, CompileGenerateAndAreCountedWithEverySharingStrategy) {
  Stream stream(1, Purpose::test);
  std::map<std::pair<int, int>, int> seen;
  for (int i = 0; i < 150; ++i) {
    const auto catalogue = random_class(stream);
    SCOPED_TRACE(integers(catalogue));
    const auto& liv_class = catalogue.classes().front();
    const auto a = genome::group_index(catalogue.featurizer_of(liv_class), "A");
    const auto made = a < 0 ? 0 : static_cast<int>(catalogue.featurizer_of(liv_class).groups[static_cast<std::size_t>(a)].parametrisation);
    ++seen[{static_cast<int>(liv_class.op.token_mixing), made}];
    for (const auto& [name, genome] : sharing_genomes(catalogue)) {
      SCOPED_TRACE(name);
      expect_counts(catalogue, genome, tiny);
      expect_steps_are_rows(perturbed(catalogue, genome, tiny, at::kDouble), tiny, 1e-8);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(seen.size(), 7u) << "four token mixings, and of semi-separable ones four kinds of A";
}

/// Genomes of a search whose segments evolve, some generations away from the catalogue.
genome::Genome evolved(const genome::Space& space, int generations, Stream& stream) {
  auto genome = genome::sample(space, stream);
  for (int i = 0; i < generations; ++i) {
    const auto child = genome::crossover(space, genome, genome::sample(space, stream), 2, stream);
    genome = genome::repair(space, genome::mutate(space, child, 0.05, stream), stream);
  }
  return genome::canonical(*space.catalogue, genome);
}

TEST(LegalClasses, OfEvolvedSegmentsCompileGenerateAndAreCountedWithEverySharingStrategy) {
  Stream stream(3, Purpose::test);
  genome::Space space;
  space.depth = 2;
  space.require_mixer_and_map = false;
  space.operators = space.featurizers = true;
  space.width = tiny.width;
  const auto& catalogue = *space.catalogue;
  std::set<std::string> classes;
  for (int i = 0; i < 60; ++i) {
    for (const auto& liv : evolved(space, 4, stream).livs) {
      if (!genome::has_segments(liv)) continue;
      genome::Genome alone{{{.liv_class = liv.liv_class, .segments = liv.segments}}};
      if (!classes.insert(genome::to_text(alone)).second) continue;
      const auto strategies = genome::feature_strategies(catalogue, liv);
      for (int strategy = 1; strategy <= strategies; ++strategy) {
        for (std::int16_t weights = 1; weights <= 2; ++weights) {
          auto reader = alone.livs[0];
          reader.featurizer_strategy = weights;
          reader.feature_strategy = static_cast<std::int16_t>(strategy);
          const genome::Genome genome{{reader, {.liv_class = 8}, reader}};
          SCOPED_TRACE(genome::to_text(genome));
          const auto plan = genome::make_plan(catalogue, genome);
          EXPECT_EQ(plan.livs[2].weight_owner, weights == 2 ? 0u : 2u);
          expect_counts(catalogue, genome, tiny);
          if (strategy == 1 || weights == 1) expect_steps_are_rows(perturbed(catalogue, genome, tiny, at::kDouble), tiny, 1e-8);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  EXPECT_GT(classes.size(), 60u);
}

TEST(LegalClasses, OfEvolvedGenomesAreCountedAsTheyAreSharedAndLearn) {
  Stream stream(4, Purpose::test);
  genome::Space space;
  space.operators = space.featurizers = space.paths = space.routes = space.variable_depth = true;
  space.width = tiny.width;
  for (int i = 0; i < 60; ++i) {
    const auto genome = evolved(space, 3, stream);
    SCOPED_TRACE(genome::to_text(genome));
    expect_counts(*space.catalogue, genome, tiny);
    const Model model(*space.catalogue, genome, tiny, static_cast<std::uint64_t>(i));
    const auto loss = model.loss(token_tensor(2, 9, 11, 1), token_tensor(2, 9, 11, 2));
    loss.backward();
    for (const auto& parameter : model.parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      EXPECT_TRUE(std::isfinite(parameter.value.grad().norm().item<double>())) << parameter.name;
    }
  }
}

TEST(LegalClasses, HaveFiniteGradientsForEveryWeight) {
  Stream stream(2, Purpose::test);
  for (int i = 0; i < 100; ++i) {
    const auto catalogue = random_class(stream);
    SCOPED_TRACE(integers(catalogue));
    const genome::Genome genome{{{.liv_class = 1}, {.liv_class = 1}}};
    const Model model(catalogue, genome, tiny, static_cast<std::uint64_t>(i));
    const auto loss = model.loss(token_tensor(2, 9, 11, 1), token_tensor(2, 9, 11, 2));
    loss.backward();
    EXPECT_LT(std::abs(loss.item<double>() - std::log(11.0)), 1.0);
    for (const auto& parameter : model.parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      EXPECT_TRUE(std::isfinite(parameter.value.grad().norm().item<double>())) << parameter.name;
    }
  }
}

TEST(LegalClasses, RefuseAWidthThatTheyDoNotFit) {
  FeatureGroup q{.name = "q"}, k{.name = "k", .expansion = {1, 8}, .repeat = 8}, v{.name = "v"};
  const genome::OperatorGenome op{1, TokenMixing::low_rank, Sparsity::none, Nonlinearity::softmax, ChannelMixing::grouped};
  const genome::Catalogue catalogue("test", {{1, "Wide", op, "", {}}}, {{1, {q, k, v}}});
  try {
    const Model model(catalogue, genome::Genome{{{.liv_class = 1}}}, tiny, 1);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_STREQ(error.what(), "class 1 'Wide': the feature group 'k' is repeated 8 times, but there are 4 heads at width 16");
  }
}

}  // namespace
}  // namespace starling::model
