#include "model_support.hpp"

#include <gtest/gtest.h>

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <set>
#include <stdexcept>

#include <starling/base/random.hpp>
#include <starling/genome/variation.hpp>
#include <starling/model/generation.hpp>

#include "reference.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

/// What feature strategies 2, 3, 4 of a class read, from the definition.
std::vector<std::string> groups_read(genome::Family family, std::int16_t strategy) {
  if (strategy < 2) return {};
  if (family == genome::Family::memoryless) return {"gate"};
  const bool attention = family == genome::Family::attention;
  const std::vector<std::string> both = attention ? std::vector<std::string>{"k", "v"} : std::vector<std::string>{"B", "C"};
  if (strategy == 2) return both;
  return {both[static_cast<std::size_t>(strategy - 3)]};
}

/// First LIV with the class, an active strategy and the same group, or i itself.
std::size_t first_member(const genome::Genome& genome, std::size_t i, bool weights) {
  const auto& liv = genome.livs[i];
  const auto strategy = [&](const genome::Liv& other) { return weights ? other.featurizer_strategy : other.feature_strategy; };
  const auto group = [&](const genome::Liv& other) { return weights ? other.featurizer_group : other.feature_group; };
  if (strategy(liv) < 2) return i;
  for (std::size_t j = 0; j < i; ++j) {
    const auto& other = genome.livs[j];
    if (other.liv_class == liv.liv_class && strategy(other) >= 2 && group(other) == group(liv)) return j;
  }
  return i;
}

}  // namespace

genome::Genome random_genome(std::size_t depth, std::uint64_t seed) {
  genome::Space space;
  space.depth = depth;
  Stream stream(seed, Purpose::test, depth);
  return genome::sample(space, stream);
}

std::vector<NamedGenome> sharing_genomes(const genome::Catalogue& catalogue) {
  std::vector<NamedGenome> genomes;
  const auto first = static_cast<std::int16_t>(catalogue.classes().front().id);
  const auto last = static_cast<std::int16_t>(catalogue.classes().back().id);
  for (const auto& liv_class : catalogue.classes()) {
    const auto id = static_cast<std::int16_t>(liv_class.id);
    const auto strategies = static_cast<std::int16_t>(catalogue.feature_strategies(liv_class.id));
    for (std::int16_t strategy = 1; strategy <= strategies; ++strategy) {
      for (std::int16_t weights = 1; weights <= 2; ++weights) {
        genome::Genome genome;
        genome.livs.assign(4, {.liv_class = id, .featurizer_strategy = weights, .feature_strategy = strategy});
        genome.livs[1].liv_class = id == first ? last : first;  // something between owner and reader
        genome.livs[1].featurizer_strategy = genome.livs[1].feature_strategy = 1;
        genomes.push_back(
            {liv_class.name + " feature strategy " + std::to_string(strategy) + " weights " + std::to_string(weights), genome});
      }
    }
  }
  return genomes;
}

std::vector<NamedGenome> path_genomes() {
  std::vector<NamedGenome> genomes;
  const auto add = [&](const char* name, const char* text) { genomes.push_back({name, genome::parse_genome(text)}); };
  add("two", "1111110-8111110");
  add("three, then a group, then one", "4111110-6111110-8111110-1111120-8111120-51111");
  add("a reader beside its owner", "1111210-1111210-8111110-11113");
  add("readers on both sides of a border", "61112-6111210-6111310-61112");
  add("weights shared inside and outside", "81211-8121110-8121110-81211");
  add("differentials", "14.1.1.1.2.1.0-14.1.1.1.2.1.0-18.1.1.1.1.1.0-19.1.1.1.1");
  add("readers of a state", "2111210-2111310-2111410-71112-7111220-8111120");
  add("a route alone", "1111101-8111101-4111101-61111");
  add("a choice", "1111111-8111111-61111");
  add("a choice of which one knows nothing", "1111110-8111110-6111111-4111120-8111121");
  add("a routed reader", "1111211-1111211-1111201-81111");
  genome::Space space;
  add("nothing in between", "14.1.1.1.2-01111-1111210-0221121-8111110-14.1.1.1.2-11112-01111");
  space.paths = space.routes = true;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    space.depth = 3 + seed % 6;
    space.variable_depth = seed % 2 == 0;
    Stream stream(seed, Purpose::test, 77);
    genomes.push_back({"random", genome::sample(space, stream)});
  }
  return genomes;
}

at::Tensor token_tensor(std::int64_t batch, std::int64_t length, std::int64_t vocabulary, std::uint64_t seed) {
  Stream stream(seed, Purpose::test);
  auto tokens = at::empty({batch, length}, at::TensorOptions().dtype(at::kLong));
  auto* const values = tokens.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens.numel(); ++i)
    values[i] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(vocabulary)));
  return tokens;
}

Model perturbed(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions,
                at::ScalarType dtype) {
  Model model(catalogue, genome, dimensions, 5, Model::Initialization::glorot, dtype);
  Stream stream(6, Purpose::test);
  const c10::NoGradGuard no_gradient;
  for (const auto& moved : model.parameters()) moved.value.add_(reference::random_tensor(moved.value.sizes().vec(), stream, 0.1));
  return model;
}

void expect_counts(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions) {
  const auto account = genome::account(catalogue, genome, dimensions);
  const Model model(catalogue, genome, dimensions, 1);
  genome::Parameters counted;
  const std::set<std::string> end_matrices{"embedding", "input.weight", "output.weight"};
  const std::set<std::string> end_vectors{"input.bias", "output.bias", "output.skip"};
  for (const auto& candidate : model.parameters()) {
    const bool is_end_matrix = end_matrices.contains(candidate.name);
    EXPECT_EQ(candidate.decay, candidate.matrix || is_end_matrix) << candidate.name;
    if (is_end_matrix || end_vectors.contains(candidate.name)) {
      counted.embedding += candidate.value.numel();
    } else if (candidate.matrix) {
      counted.matrices += candidate.value.numel();
    } else {
      counted.vectors += candidate.value.numel();
    }
  }
  EXPECT_EQ(counted.matrices, account.parameters.matrices) << genome::to_text(genome);
  EXPECT_EQ(counted.vectors, account.parameters.vectors) << genome::to_text(genome);
  EXPECT_EQ(counted.embedding, account.parameters.embedding);
  for (const std::int64_t tokens : {1, 8, 37}) {
    for (const std::int64_t batch : {1, 3}) {
      EXPECT_EQ(model.begin(batch, tokens)->elements_per_sequence(), account.cache.elements(tokens)) << genome::to_text(genome);
    }
  }
  // By LIV as well: a LIV's weights and state stand where the formula puts them.
  const auto state = model.begin(1, 8);
  ASSERT_EQ(account.livs.size(), genome::without_empty(genome).depth());
  for (std::size_t i = 0; i < account.livs.size(); ++i) {
    const auto prefix = "livs." + std::to_string(i) + ".";
    std::int64_t elements = 0;
    for (const auto& candidate : model.parameters()) {
      if (candidate.name.starts_with(prefix)) elements += candidate.value.numel();
    }
    EXPECT_EQ(elements, account.livs[i].parameters.without_embedding()) << genome::to_text(genome) << " LIV " << i + 1;
    std::int64_t kept = 0;
    for (const auto& tensor : state->livs[i].tensors) kept += tensor.numel();
    if (state->gates[i].defined()) kept += state->gates[i].numel();
    EXPECT_EQ(kept, account.livs[i].cache.elements(8)) << genome::to_text(genome) << " LIV " << i + 1;
  }
}

void expect_steps_are_rows(const Model& model, const genome::Dimensions& dimensions, double tolerance) {
  const c10::NoGradGuard no_gradient;
  Stream stream(8, Purpose::test);
  const auto inputs = dimensions.channels > 0 ? reference::random_tensor({3, dimensions.length, dimensions.channels}, stream)
                                              : token_tensor(3, dimensions.length, dimensions.vocabulary, 8);
  const auto whole = model.logits(inputs);
  const auto state = model.begin(3, dimensions.length);
  for (std::int64_t t = 0; t < dimensions.length; ++t) {
    const auto logits = model.step(inputs.select(1, t), *state);
    ASSERT_LT(reference::largest_difference(logits, whole.select(1, t)), tolerance) << "token " << t;
  }
  EXPECT_EQ(state->position, dimensions.length);
}

at::Tensor parameter(const Model& model, const std::string& name) {
  for (const auto& candidate : model.parameters()) {
    if (candidate.name == name) return candidate.value;
  }
  throw std::out_of_range("the model has no parameter " + name);
}

reference::Matrix reference_logits(const genome::Genome& with_empty, const Model& model, const std::vector<std::int64_t>& tokens,
                                   std::size_t heads) {
  using reference::Matrix;
  const auto genome = genome::without_empty(with_empty);
  const auto weight = [&](const std::string& name) { return reference::to_matrix(parameter(model, name)); };
  const auto embedding = weight("embedding");
  Matrix x(tokens.size(), embedding.columns);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    for (std::size_t c = 0; c < x.columns; ++c) x(t, c) = embedding(static_cast<std::size_t>(tokens[t]), c);
  }
  std::vector<reference::Features> features(genome.depth());
  const auto parameters_of = [&](std::size_t i, const std::string& name) {
    return weight("livs." + std::to_string(i) + "." + name).values;
  };
  const auto gate_of = [&](std::size_t i, const Matrix& group_input) {
    std::vector<double> gate(tokens.size());
    if (genome.livs[i].route == 0) return gate;
    const auto drive = reference::times_transposed(reference::rms_norm(group_input, weight("livs." + std::to_string(i) + ".norm")),
                                                   weight("livs." + std::to_string(i) + ".route.weight"));
    const double tau = std::exp(parameters_of(i, "route.tau")[0]);
    const double delta = std::exp(parameters_of(i, "route.delta")[0]);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const double f = std::log(1 + std::exp(drive(t, 0) + parameters_of(i, "route.bias")[0]));
      gate[t] = ((t > 0 ? gate[t - 1] : 0) + delta * f) / (1 + delta * (1 / tau + f));
    }
    return gate;
  };
  Matrix input = x;  // of the path group
  std::size_t first = 0;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    const auto beside = [&](std::size_t j) { return j < genome.depth() && liv.path != 0 && genome.livs[j].path == liv.path; };
    const bool continues = beside(i - 1);
    if (!continues) {
      input = x;
      first = i;
    }
    const auto own = "livs." + std::to_string(i) + ".";
    const auto bank = "livs." + std::to_string(first_member(genome, i, true)) + ".bank.";
    reference::Weights weights;
    for (const auto& candidate : model.parameters()) {
      if (candidate.name.starts_with(bank)) weights[candidate.name.substr(bank.size())] = reference::to_matrix(candidate.value);
      const bool is_own = candidate.name.starts_with(own) && !candidate.name.starts_with(own + "bank.");
      if (is_own) weights[candidate.name.substr(own.size())] = reference::to_matrix(candidate.value);
    }
    const auto& liv_class = genome::Catalogue::liquid().at(liv.liv_class);
    const auto owner = first_member(genome, i, false);
    if (owner != i) {
      for (const auto& group : groups_read(liv_class.family, liv.feature_strategy)) {
        features[i][group] = features[owner].at(group);
        const auto second = features[owner].find(group + "2");
        if (second != features[owner].end()) features[i][second->first] = second->second;
      }
    }
    const auto normalised = reference::rms_norm(input, weights.at("norm"));
    const auto mixed =
        reference::mixed(liv_class.name, normalised, weights, features[i], {.heads = heads, .position = i + 1, .length = tokens.size()});
    const auto branch = reference::through(mixed, weights, "out");
    const bool alone = !continues && !beside(i + 1);
    bool any_routed = false;
    std::size_t last = first;
    while (last < genome.depth() && (last == first || beside(last))) any_routed |= genome.livs[last++].route != 0;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      double share = 1;
      if (alone && any_routed) {
        share = 1 / (1 + std::exp(parameters_of(i, "route.omega")[0] * gate_of(i, input)[t] - parameters_of(i, "route.beta")[0]));
      } else if (!alone && !any_routed) {
        share = std::exp(parameters_of(i, "path.weight")[0]);
      } else if (!alone) {
        const auto score = [&](std::size_t k) {
          return std::exp(parameters_of(k, "path.weight")[0] + parameters_of(first, "path.scale")[0] * gate_of(k, input)[t]);
        };
        double sum = 0;
        for (std::size_t k = first; k < last; ++k) sum += score(k);
        share = score(i) / sum;
      }
      for (std::size_t c = 0; c < x.columns; ++c) x(t, c) += share * branch(t, c);
    }
  }
  return reference::times_transposed(reference::rms_norm(x, weight("norm")), embedding);
}

}  // namespace starling::model
