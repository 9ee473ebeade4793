#include <starling/genome/accounting.hpp>

#include <gtest/gtest.h>

#include <starling/base/error.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/variation.hpp>

namespace starling::genome {
namespace {

Account account_of(std::string_view text, Dimensions dimensions) {
  return account(Catalogue::liquid(), genome_or_baseline(Catalogue::liquid(), text, 24), dimensions);
}

constexpr std::int64_t d = 768;
constexpr Dimensions paper{d, 4096, 50257};

TEST(Parameters, OfTransformerAreThePublishedOnes) {
  const auto small = account_of("transformer++", paper);
  EXPECT_EQ(small.parameters.matrices, 84'934'656);
  EXPECT_EQ(small.parameters.vectors, 19'200);
  EXPECT_EQ(small.parameters.embedding, 50257 * d);
  EXPECT_EQ(small.parameters.total(), small.parameters.without_embedding() + 50257 * d);

  const auto& catalogue = Catalogue::liquid();
  const auto large = account(catalogue, baseline(catalogue, "transformer++", 48), {2048, 4096, 32000});
  EXPECT_EQ(large.parameters.matrices, 1'208'352'768);
  EXPECT_EQ(large.parameters.vectors, 100'352);
  EXPECT_EQ(large.cache.bytes(4096), 805'306'368);
}

TEST(Parameters, FollowTheFormulasOfTheClasses) {
  const auto liv = [](const char* text) { return account_of(text, paper).livs.at(0).parameters; };
  // The table of classes, and one RMSNorm.
  EXPECT_EQ(liv("11111").without_embedding(), 4 * d * d + d);
  EXPECT_EQ(liv("21111").without_embedding(), 4 * d * d + d);
  EXPECT_EQ(liv("31111").without_embedding(), 5 * d * d / 2 + d);
  EXPECT_EQ(liv("22.1.1.1.1").without_embedding(), 3 * d * d + d);
  EXPECT_EQ(liv("23.1.1.1.1").matrices, 4 * d * d);
  EXPECT_EQ(liv("23.1.1.1.1").vectors, 9 * d + d);
  EXPECT_EQ(liv("41111").without_embedding(), 3 * d * d + 2 * d * 48 + 54 * d + d);
  EXPECT_EQ(liv("41111").vectors, (1 + 16 + 4 + 1) * d + d);  // bias of Δ, A_log, taps of v, D
  EXPECT_EQ(liv("51111").without_embedding(), 4 * d * d + 6 * d + d);
  EXPECT_EQ(liv("51111").vectors, 2 * d + d);  // bias of the decays
  EXPECT_EQ(liv("61111").without_embedding(), 4 * d * d + 3 * d + d);
  EXPECT_EQ(liv("71111").matrices, 4 * d * d);
  EXPECT_EQ(liv("71111").vectors, 8960 + 64 * d + d);  // the network of the filter
  for (const auto* memoryless : {"81111", "91111", "10.1.1.1.1"}) EXPECT_EQ(liv(memoryless).without_embedding(), 3 * d * 2048 + d);
  EXPECT_EQ(liv("11.1.1.1.1").matrices, 3 * d * d);
  EXPECT_EQ(liv("11.1.1.1.1").vectors, 3 * 64 * d + d + d + d);  // A, B, C, step sizes, D
  EXPECT_EQ(liv("12.1.1.1.1").matrices, 3 * d * d);
  EXPECT_EQ(liv("12.1.1.1.1").vectors, 4 * 64 * d + d + d + d);  // and b of the bent decays
  EXPECT_EQ(liv("13.1.1.1.1").matrices, 3 * d * (24 + 32));
  EXPECT_EQ(liv("13.1.1.1.1").vectors, liv("11.1.1.1.1").vectors);
}

TEST(Parameters, OfDifferentialsDoubleOnlyWhatModulates) {
  const auto liv = [](const char* text) { return account_of(text, paper).livs.at(0).parameters; };
  constexpr std::int64_t lambda = 64;
  EXPECT_EQ(liv("14.1.1.1.1").without_embedding(), 4 * d * d + lambda + d);
  EXPECT_EQ(liv("15.1.1.1.1").without_embedding(), 6 * d * d + lambda + d);
  EXPECT_EQ(liv("16.1.1.1.1").without_embedding(), 5 * d * d / 2 + lambda + d);
  EXPECT_EQ(liv("24.1.1.1.1").without_embedding(), 3 * d * d + lambda + d);
  EXPECT_EQ(liv("25.1.1.1.1").without_embedding(), 4 * d * d + 9 * d + lambda + d);
  EXPECT_EQ(liv("17.1.1.1.1").matrices, 3 * d * d + 2 * (2 * d * 48 + 32 * d));
  EXPECT_EQ(liv("17.1.1.1.1").vectors, (4 + 1 + 2 * 17) * d + lambda + d);  // taps of v, D; twice A_log and the bias of Δ
  EXPECT_EQ(liv("18.1.1.1.1").without_embedding(), 2 * (2 * d * d + 6 * d) + 2 * d * d + lambda + d);
  EXPECT_EQ(liv("19.1.1.1.1").without_embedding(), 2 * (2 * d * d + 3 * d) + 2 * d * d + lambda + d);
  EXPECT_EQ(liv("20.1.1.1.1").matrices, 6 * d * d);
  EXPECT_EQ(liv("21.1.1.1.1").matrices, 3 * d * d);
  EXPECT_EQ(liv("21.1.1.1.1").vectors, 2 * (3 * 64 * d + d) + d + lambda + d);
  EXPECT_EQ(liv("20.1.1.1.1").vectors, 2 * (8960 + 64 * d) + lambda + d);
}

TEST(Parameters, OfAPathGroupAreOneWeightMorePerMember) {
  const auto livs = account_of("1111110-8111110-11111", paper).livs;
  const auto plain = account_of("11111-81111-11111", paper).livs;
  for (const std::size_t i : {0u, 1u, 2u}) {
    EXPECT_EQ(livs[i].parameters.vectors, plain[i].parameters.vectors + (i < 2));
    EXPECT_EQ(livs[i].parameters.matrices, plain[i].parameters.matrices);
    EXPECT_EQ(livs[i].cache.elements(4096), plain[i].cache.elements(4096));
    EXPECT_EQ(livs[i].forward_flops, plain[i].forward_flops);
  }
}

TEST(Account, OfARouteIsItsGate) {
  const auto plain = account_of("11111-81111-61111", paper).livs;
  const auto routed = account_of("1111101-8111111-6111110", paper).livs;
  const auto expect = [&](std::size_t i, std::int64_t matrices, std::int64_t vectors, std::int64_t cache) {
    EXPECT_EQ(routed[i].parameters.matrices, plain[i].parameters.matrices + matrices);
    EXPECT_EQ(routed[i].parameters.vectors, plain[i].parameters.vectors + vectors);
    EXPECT_EQ(routed[i].cache.fixed, plain[i].cache.fixed + cache);
    EXPECT_EQ(routed[i].forward_flops, plain[i].forward_flops + 2 * matrices);
  };
  expect(0, d, 5, 1);      // bias, τ, Δ, β, ω
  expect(1, d, 3 + 2, 1);  // bias, τ, Δ; its weight in the path group, and the group's s
  expect(2, 0, 1, 0);
}

TEST(Account, OfEmptyLivsIsNothing) {
  const auto with = account_of("01111-11112-0111121-81111-11112", paper), without = account_of("11112-81111-11112", paper);
  EXPECT_EQ(with.livs.size(), 3u);
  EXPECT_EQ(with.parameters.total(), without.parameters.total());
  EXPECT_EQ(with.cache.elements(4096), without.cache.elements(4096));
  EXPECT_EQ(with.training_flops, without.training_flops);
}

TEST(Parameters, SharedWeightsCountAtTheirOwner) {
  const auto attention = account_of("11211-81111-11211", paper).livs;
  EXPECT_EQ(attention[0].parameters.matrices, 4 * d * d);
  EXPECT_EQ(attention[2].parameters.matrices, d * d) << "only W_o is its own";
  EXPECT_EQ(attention[2].parameters.vectors, d);
  EXPECT_EQ(attention[2].cache.dynamic_per_token, 2 * d) << "shared weights, own activations";
  EXPECT_EQ(attention[2].forward_flops, attention[0].forward_flops);
}

TEST(Parameters, ReadGroupsAreNotInstantiated) {
  // LIVs 2 and 3 share weights but both read k and v: their bank holds q alone, and LIV 2 owns it.
  const auto livs = account_of("11112-11212-11212", paper).livs;
  EXPECT_EQ(livs[0].parameters.matrices, 4 * d * d);
  EXPECT_EQ(livs[1].parameters.matrices, 2 * d * d);
  EXPECT_EQ(livs[2].parameters.matrices, d * d);
  // B and C of a state space are weights: who reads them has A, its step sizes, v and z alone.
  EXPECT_EQ(account_of("11.1.1.1.2-11.1.1.1.2", paper).livs[1].parameters.matrices, 3 * d * d);
  EXPECT_EQ(account_of("11.1.1.1.2-11.1.1.1.2", paper).livs[1].parameters.vectors, 64 * d + d + d + d);
  // As soon as one member computes k, the bank holds it, though its owner reads it.
  const auto mixed = account_of("11112-11212-11214", paper).livs;
  EXPECT_EQ(mixed[1].parameters.matrices, 3 * d * d);
  EXPECT_EQ(mixed[2].parameters.matrices, d * d);
}

TEST(Cache, FollowsTheTableOfTheReference) {
  const auto cache = [](const char* text, std::size_t liv) { return account_of(text, paper).livs.at(liv).cache; };
  const auto expect = [](Cache found, std::int64_t dynamic, std::int64_t fixed) {
    EXPECT_EQ(found.dynamic_per_token, dynamic);
    EXPECT_EQ(found.fixed, fixed);
  };
  expect(cache("11111", 0), 2 * d, 0);
  expect(cache("21111", 0), 0, d * 64 + d);
  expect(cache("21112-21112", 1), 0, 0);
  expect(cache("21112-21113", 1), 0, d * 64);
  expect(cache("21112-21114", 1), 0, d * 64 + d);
  expect(cache("31111", 0), d / 2, 0);
  expect(cache("41111", 0), 0, 16 * d + 3 * d);
  expect(cache("51111", 0), 0, 2 * d);
  expect(cache("51112-51112", 1), 0, 2 * d);
  expect(cache("61111", 0), 0, 2 * d);
  expect(cache("11.1.1.1.1", 0), 0, 64 * d);
  expect(cache("12.1.1.1.1", 0), 0, 64 * d);
  expect(cache("13.1.1.1.1", 0), 0, 64 * d);
  expect(cache("11.1.1.1.2-11.1.1.1.2", 1), 0, 64 * d);
  expect(cache("71111", 0), 0, 0);
  EXPECT_EQ(cache("71111", 0).elements(1000), 1000 * d);
  EXPECT_EQ(cache("71111", 0).elements(5000), 4096 * d) << "the kernel is as long as the sequence";
  EXPECT_EQ(cache("71112-71112", 1).elements(4096), 4096 * d);
  for (const auto* memoryless : {"81111", "91111", "10.1.1.1.1"}) expect(cache(memoryless, 0), 0, 0);
  expect(cache("11112-11112", 1), 0, 0);
  expect(cache("11112-11113", 1), d, 0);
  expect(cache("11112-11114", 1), d, 0);
  expect(cache("31112-31113", 1), d / 4, 0);
  expect(cache("22.1.1.1.1", 0), d, 0);
  expect(cache("22.1.1.1.2-22.1.1.1.4", 1), d / 2, 0);
  expect(cache("23.1.1.1.1", 0), 2 * d, 6 * d);  // tails of q, k, v
  expect(cache("23.1.1.1.2-23.1.1.1.2", 0), 2 * d, 6 * d);
  expect(cache("23.1.1.1.2-23.1.1.1.2", 1), 0, 2 * d);  // the tail of q
  expect(cache("23.1.1.1.2-23.1.1.1.3", 1), d, 4 * d);
  expect(cache("23.1.1.1.2-23.1.1.1.4", 1), d, 4 * d);
  expect(cache("41112-41112", 1), 0, 19 * d);
  expect(cache("61112-61112", 1), 0, 2 * d);
  expect(cache("14.1.1.1.1", 0), 2 * d, 0);
  expect(cache("16.1.1.1.1", 0), d / 2, 0);
  expect(cache("24.1.1.1.1", 0), d, 0);
  expect(cache("25.1.1.1.1", 0), 2 * d, 6 * d);
  expect(cache("14.1.1.1.2-14.1.1.1.3", 1), d, 0);
  expect(cache("17.1.1.1.1", 0), 0, 32 * d + 3 * d);
  expect(cache("17.1.1.1.2-17.1.1.1.2", 1), 0, 35 * d);
  expect(cache("18.1.1.1.1", 0), 0, 4 * d);
  expect(cache("19.1.1.1.1", 0), 0, 4 * d);
  expect(cache("21.1.1.1.1", 0), 0, 128 * d);
  expect(cache("21.1.1.1.2-21.1.1.1.2", 1), 0, 128 * d);
  expect(cache("15.1.1.1.1", 0), 0, 2 * (d * 64 + d));
  expect(cache("15.1.1.1.2-15.1.1.1.2", 1), 0, 0);
  expect(cache("15.1.1.1.2-15.1.1.1.3", 1), 0, 2 * d * 64);
  expect(cache("15.1.1.1.2-15.1.1.1.4", 1), 0, 2 * (d * 64 + d));
  EXPECT_EQ(cache("20.1.1.1.1", 0).elements(1000), 2 * 1000 * d);
  EXPECT_EQ(cache("20.1.1.1.1", 0).elements(5000), 2 * 4096 * d);
  expect(cache("11113-11111-11112", 0), 2 * d, 0);  // who is read keeps all, whatever its own strategy says
  EXPECT_EQ((Cache{10, 3}.bytes(7)), 2 * (10 * 7 + 3));
}

TEST(Flops, CountWhatIsComputed) {
  constexpr std::int64_t length = 4096;
  const auto flops = [](const char* text, std::size_t liv = 0) { return account_of(text, paper).livs.at(liv).forward_flops; };
  EXPECT_EQ(flops("11111"), 2 * 4 * d * d + 2 * d * (length + 1));
  EXPECT_EQ(flops("21111"), 2 * 4 * d * d + 4 * d * 64 + 3 * d);
  EXPECT_EQ(flops("31111"), 5 * d * d + 2 * d * (length + 1));
  EXPECT_EQ(flops("22.1.1.1.1"), 6 * d * d + 2 * d * (length + 1));
  EXPECT_EQ(flops("23.1.1.1.1"), 8 * d * d + 3 * 6 * d + 2 * d * (length + 1));
  EXPECT_EQ(flops("41111"), 2 * (3 * d * d + 2 * d * 48 + 32 * d) + 8 * d + 7 * 16 * d + 2 * d);
  EXPECT_EQ(flops("51111"), 2 * (4 * d * d + 4 * d) + 7 * 2 * d);
  EXPECT_EQ(flops("61111"), 2 * 4 * d * d + 6 * d);
  EXPECT_EQ(flops("71111"), 2 * 4 * d * d + d * (length + 1));
  for (const auto* memoryless : {"81111", "91111", "10.1.1.1.1"}) EXPECT_EQ(flops(memoryless), 2 * 3 * d * 2048);
  EXPECT_EQ(flops("11.1.1.1.1"), 2 * 3 * d * d + 11 * 32 * d + 2 * d);
  EXPECT_EQ(flops("12.1.1.1.1"), 2 * 3 * d * d + 15 * 32 * d + 2 * d);
  EXPECT_EQ(flops("13.1.1.1.1"), 2 * 3 * d * (24 + 32) + 11 * 32 * d + 2 * d);
  EXPECT_EQ(flops("14.1.1.1.1"), 2 * 4 * d * d + 3 * d * (length + 1));
  EXPECT_EQ(flops("15.1.1.1.1"), 2 * 6 * d * d + 2 * (4 * d * 64 + 3 * d));
  EXPECT_EQ(flops("20.1.1.1.1"), 2 * 6 * d * d + 2 * d * (length + 1));
  EXPECT_EQ(flops("21.1.1.1.1"), 2 * 3 * d * d + 2 * (11 * 32 * d + 2 * d));
  EXPECT_EQ(flops("17.1.1.1.1"), 2 * (3 * d * d + 2 * (2 * d * 48 + 32 * d)) + 8 * d + 2 * (7 * 16 * d + 2 * d));
  EXPECT_EQ(flops("18.1.1.1.1"), 2 * (6 * d * d + 8 * d) + 2 * 7 * 2 * d);
  EXPECT_EQ(flops("19.1.1.1.1"), 2 * 6 * d * d + 2 * 6 * d);
  EXPECT_EQ(flops("11112-11112", 1), 2 * 2 * d * d + 2 * d * (length + 1)) << "k and v are read";
  EXPECT_EQ(account_of("81111", paper).training_flops, 3 * (2 * 3 * d * 2048 + 2 * d * 50257));
}

TEST(Flops, GrowWithTheLengthAsFarAsItMayGo) {
  for (const auto* const text : {"11111", "14.1.1.1.1", "71111"}) {
    const auto flops = [&](std::int64_t width, std::int64_t length) {
      return account_of(text, {width, length, 257}).livs.at(0).forward_flops;
    };
    for (const std::int64_t width : {std::int64_t{768}, std::int64_t{65'536}}) {
      const auto per_pair = (flops(width, 3) - flops(width, 1));  // of (L + 1) / 2 pairs a token
      for (const std::int64_t length : {std::int64_t{100'000'001}, (std::int64_t{1} << 30) - 1}) {
        EXPECT_EQ(flops(width, length) - flops(width, 1), per_pair * (length - 1) / 2) << text << ' ' << width << ' ' << length;
      }
    }
  }
}

TEST(Flops, SayWhichAreProductsOfMatrices) {
  constexpr std::int64_t length = 4096;
  const auto flops = [](const char* text, std::size_t liv = 0) { return account_of(text, paper).livs.at(liv).product_flops; };
  EXPECT_EQ(flops("11111"), 2 * 4 * d * d + 2 * d * (length + 1)) << "projections and scores";
  EXPECT_EQ(flops("21111"), 2 * 4 * d * d) << "a state in place of scores";
  EXPECT_EQ(flops("23.1.1.1.1"), 8 * d * d + 2 * d * (length + 1)) << "without the convolutions";
  EXPECT_EQ(flops("41111"), 2 * (3 * d * d + 2 * d * 48 + 32 * d));
  EXPECT_EQ(flops("71111"), 2 * 4 * d * d);
  EXPECT_EQ(flops("13.1.1.1.1"), 2 * 3 * d * (24 + 32));
  EXPECT_EQ(flops("11112-11112", 1), 2 * 2 * d * d + 2 * d * (length + 1)) << "k and v are read";
  EXPECT_EQ(account_of("41111", paper).training_product_flops, 3 * (2 * (3 * d * d + 2 * d * 48 + 32 * d) + 2 * d * 50257));
}

/// One LIV of a class that is made of another one of the default catalogue.
template <class Change>
LivAccount changed(const char* name, Change change, Dimensions dimensions = paper) {
  const auto& liquid = Catalogue::liquid();
  auto liv_class = liquid.at(name);
  auto featurizer = liquid.featurizer_of(liv_class);
  change(liv_class.op, featurizer.groups);
  const Catalogue catalogue("test", {liv_class}, {featurizer});
  return account(catalogue, {{{.liv_class = static_cast<std::int16_t>(liv_class.id)}}}, dimensions).livs.at(0);
}

TEST(Cache, OfABandOrABlockEndsAtItsLength) {
  for (const auto sparsity : {Sparsity::banded, Sparsity::block_diagonal}) {
    const auto sparse = [&](OperatorGenome& op, auto&) { op.sparsity = sparsity; };
    const auto attention = changed("SA-1", sparse).cache;
    EXPECT_EQ(attention.per_token(), 2 * d);
    EXPECT_EQ(attention.elements(100), 100 * 2 * d);
    EXPECT_EQ(attention.elements(4096), 256 * 2 * d);
    EXPECT_EQ(changed("SA-3", sparse).cache.elements(4096), 256 * d / 2);
    EXPECT_EQ(changed("SA-2", sparse).cache.elements(4096), 256 * 2 * d) << "a few tokens, no sums";
    EXPECT_EQ(changed("GConv-2", sparse).cache.elements(4096), 256 * d);
    EXPECT_EQ(changed("GConv-2", sparse, {d, 100, 16}).cache.elements(100), 100 * d);
    EXPECT_EQ(changed("GConv-1", sparse).cache.elements(4096), 2 * d);
    EXPECT_EQ(changed("GConv-1", sparse, {d, 100, 16, 2}).cache.elements(4096), d) << "K has two lags left";
  }
}

TEST(Flops, OfABandOrABlockCountThePairsThatSeeEachOther) {
  const auto flops = [](Sparsity sparsity) {
    return changed("SA-1", [&](OperatorGenome& op, auto&) { op.sparsity = sparsity; }, {d, 10, 16, 4}).forward_flops;
  };
  // Tokens see 1, 2, 3, 4, 4, 4, 4, 4, 4, 4 of a band of four, and 1, 2, 3, 4, 1, 2, 3, 4, 1, 2 of a block.
  EXPECT_EQ(flops(Sparsity::banded), 8 * d * d + 4 * d * 34 / 10);
  EXPECT_EQ(flops(Sparsity::block_diagonal), 8 * d * d + 4 * d * 23 / 10);
  EXPECT_EQ(flops(Sparsity::none), 8 * d * d + 4 * d * 55 / 10);
}

TEST(Parameters, OfAGroupFollowItsChannelMixing) {
  const auto of = [](ChannelMixing mixing) {
    return changed("SA-1", [&](auto&, std::vector<FeatureGroup>& groups) { groups[1].channel_mixing = mixing; }).parameters;
  };
  EXPECT_EQ(of(ChannelMixing::dense).matrices, 4 * d * d);
  EXPECT_EQ(of(ChannelMixing::grouped).matrices, 3 * d * d + d * d / 12);
  EXPECT_EQ(of(ChannelMixing::diagonal).matrices, 3 * d * d);
  EXPECT_EQ(of(ChannelMixing::diagonal).vectors, d + d);
  const auto one_head = changed("SA-2", [](OperatorGenome& op, auto&) { op.channel_mixing = ChannelMixing::dense; });
  EXPECT_EQ(one_head.cache.fixed, d * d + d);
}

TEST(Account, TotalsAreTheSumsOfTheLivs) {
  Stream stream(3, Purpose::test);
  Space space;
  space.depth = 9;
  const Dimensions dimensions{96, 256, 257};
  for (int i = 0; i < 2000; ++i) {
    const auto genome = sample(space, stream);
    const auto total = account(Catalogue::liquid(), genome, dimensions);
    Parameters parameters{0, dimensions.width, dimensions.vocabulary * dimensions.width};
    Cache cache;
    std::int64_t forward = 2 * dimensions.width * dimensions.vocabulary;
    for (const auto& liv : total.livs) {
      parameters.matrices += liv.parameters.matrices;
      parameters.vectors += liv.parameters.vectors;
      cache.dynamic_per_token += liv.cache.dynamic_per_token;
      cache.fixed += liv.cache.fixed;
      cache.windowed_per_token += liv.cache.windowed_per_token;
      cache.window = 256;
      forward += liv.forward_flops;
      EXPECT_EQ(liv.parameters.embedding, 0);
    }
    EXPECT_EQ(total.parameters.matrices, parameters.matrices);
    EXPECT_EQ(total.parameters.vectors, parameters.vectors);
    EXPECT_EQ(total.parameters.embedding, parameters.embedding);
    EXPECT_EQ(total.cache.elements(256), cache.elements(256));
    EXPECT_EQ(total.training_flops, 3 * forward);
  }
}

TEST(Account, SharingNeverCostsAnything) {
  Stream stream(4, Purpose::test);
  Space space;
  const Dimensions dimensions{64, 128, 256};
  for (int i = 0; i < 5000; ++i) {
    const auto genome = sample(space, stream);
    auto unshared = genome;
    for (auto& liv : unshared.livs) liv = {liv.liv_class, 1, 1, 1, 1};
    const auto with = account(Catalogue::liquid(), genome, dimensions), without = account(Catalogue::liquid(), unshared, dimensions);
    EXPECT_LE(with.parameters.total(), without.parameters.total());
    EXPECT_LE(with.cache.elements(128), without.cache.elements(128));
    EXPECT_LE(with.training_flops, without.training_flops);
  }
}

TEST(Account, RefusesAWidthWithoutHeads) { EXPECT_THROW(account_of("81111", {100, 16, 16}), UserError); }

}  // namespace
}  // namespace starling::genome
