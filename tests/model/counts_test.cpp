// Numbers by formula against numbers counted: parameters on the model, cache on the state that generation keeps.
#include <gtest/gtest.h>

#include <starling/genome/accounting.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/model.hpp>

#include "model_support.hpp"

namespace starling::model {
namespace {

const auto& catalogue = genome::Catalogue::liquid();

void expect_counts(const genome::Genome& genome, std::int64_t width) {
  const genome::Dimensions dimensions{.width = width, .length = 8, .vocabulary = 13};
  const auto account = genome::account(catalogue, genome, dimensions);
  const Model model(catalogue, genome, dimensions, 1);
  genome::Parameters counted;
  for (const auto& parameter : model.parameters()) {
    EXPECT_EQ(parameter.decay, parameter.matrix || parameter.name == "embedding") << parameter.name;
    if (parameter.name == "embedding") {
      counted.embedding += parameter.value.numel();
    } else if (parameter.matrix) {
      counted.matrices += parameter.value.numel();
    } else {
      counted.vectors += parameter.value.numel();
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
    for (const auto& parameter : model.parameters()) {
      if (parameter.name.starts_with(prefix)) elements += parameter.value.numel();
    }
    EXPECT_EQ(elements, account.livs[i].parameters.without_embedding()) << genome::to_text(genome) << " LIV " << i + 1;
    std::int64_t kept = 0;
    for (const auto& tensor : state->livs[i].tensors) kept += tensor.numel();
    if (state->gates[i].defined()) kept += state->gates[i].numel();
    EXPECT_EQ(kept, account.livs[i].cache.elements(8)) << genome::to_text(genome) << " LIV " << i + 1;
  }
}

TEST(Counts, AreThoseOfTheFormulasForTheBaselines) {
  for (const auto* const name : {"transformer++", "striped-mamba", "striped-hyena"}) {
    for (const std::int64_t width : {16, 32, 64, 256}) expect_counts(genome::baseline(catalogue, name, 6), width);
  }
}

TEST(Counts, AreThoseOfTheFormulasForEveryClassAndSharingStrategy) {
  for (const auto& [name, genome] : sharing_genomes()) {
    SCOPED_TRACE(name);
    expect_counts(genome, 16);
    expect_counts(genome, 48);
  }
}

TEST(Counts, AreThoseOfTheFormulasForRandomGenomes) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) expect_counts(random_genome(3 + seed % 10, seed), seed % 3 == 0 ? 48 : 16);
}

TEST(Counts, AreThoseOfTheFormulasForPathGroups) {
  for (const auto& [name, genome] : path_genomes()) {
    SCOPED_TRACE(name);
    expect_counts(genome, 16);
  }
}

TEST(Counts, OfTheTransformerAreTheKnownOnes) {
  // 4 d² and 3 d · 344 in matrices, one norm per LIV and one at the end.
  const auto genome = genome::baseline(catalogue, "transformer++", 4);
  const Model model(catalogue, genome, {.width = 128, .length = 8, .vocabulary = 16}, 1);
  std::int64_t total = 0;
  for (const auto& parameter : model.parameters()) total += parameter.value.numel();
  EXPECT_EQ(total, 2 * (4 * 128 * 128) + 2 * (3 * 128 * 344) + 5 * 128 + 16 * 128);
  EXPECT_EQ(model.begin(1, 100)->elements_per_sequence(), 2 * 100 * 2 * 128);
}

TEST(Counts, OfTheStateDoNotChangeWhileItIsUsed) {
  const auto model = Model(catalogue, random_genome(8, 5), {.width = 16, .length = 8, .vocabulary = 13}, 1);
  const auto state = model.begin(2, 8);
  const auto before = state->elements_per_sequence();
  for (std::int64_t t = 0; t < 8; ++t) model.step(token_tensor(1, 2, 13, static_cast<std::uint64_t>(t)).select(0, 0), *state);
  EXPECT_EQ(state->elements_per_sequence(), before);
}

}  // namespace
}  // namespace starling::model
