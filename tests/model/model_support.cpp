#include "model_support.hpp"

#include <ATen/ops/empty.h>

#include <stdexcept>

#include <starling/base/random.hpp>
#include <starling/genome/variation.hpp>

#include "reference.hpp"
#include "torch_support.hpp"

namespace starling::model {
namespace {

constexpr std::int16_t sa1 = 1;
constexpr std::int16_t gconv1 = 6;

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

std::vector<NamedGenome> sharing_genomes() {
  std::vector<NamedGenome> genomes;
  for (const auto& liv_class : genome::Catalogue::liquid().classes()) {
    const auto id = static_cast<std::int16_t>(liv_class.id);
    const auto strategies = static_cast<std::int16_t>(genome::Catalogue::liquid().feature_strategies(liv_class.id));
    for (std::int16_t strategy = 1; strategy <= strategies; ++strategy) {
      for (std::int16_t weights = 1; weights <= 2; ++weights) {
        genome::Genome genome;
        genome.livs.assign(4, {.liv_class = id, .featurizer_strategy = weights, .feature_strategy = strategy});
        genome.livs[1].liv_class = id == sa1 ? gconv1 : sa1;  // something between owner and reader
        genome.livs[1].featurizer_strategy = genome.livs[1].feature_strategy = 1;
        genomes.push_back(
            {liv_class.name + " feature strategy " + std::to_string(strategy) + " weights " + std::to_string(weights), genome});
      }
    }
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

at::Tensor parameter(const Model& model, const std::string& name) {
  for (const auto& candidate : model.parameters()) {
    if (candidate.name == name) return candidate.value;
  }
  throw std::out_of_range("the model has no parameter " + name);
}

reference::Matrix reference_logits(const genome::Genome& genome, const Model& model, const std::vector<std::int64_t>& tokens,
                                   std::size_t heads) {
  using reference::Matrix;
  const auto weight = [&](const std::string& name) { return reference::to_matrix(parameter(model, name)); };
  const auto embedding = weight("embedding");
  Matrix x(tokens.size(), embedding.columns);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    for (std::size_t c = 0; c < x.columns; ++c) x(t, c) = embedding(static_cast<std::size_t>(tokens[t]), c);
  }
  std::vector<reference::Features> features(genome.depth());
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
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
    const auto normalised = reference::rms_norm(x, weights.at("norm"));
    const auto mixed =
        reference::mixed(liv_class.name, normalised, weights, features[i], {.heads = heads, .position = i + 1, .length = tokens.size()});
    const auto branch = reference::through(mixed, weights, "out");
    for (std::size_t j = 0; j < x.values.size(); ++j) x.values[j] += branch.values[j];
  }
  return reference::times_transposed(reference::rms_norm(x, weight("norm")), embedding);
}

}  // namespace starling::model
