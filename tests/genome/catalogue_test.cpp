#include <starling/genome/catalogue.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include <starling/base/error.hpp>

namespace starling::genome {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_in(const Featurizer& featurizer, GroupMask mask) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < featurizer.groups.size(); ++i) {
    if (mask >> i & 1u) names.push_back(featurizer.groups[i].name);
  }
  return names;
}

std::vector<std::string> shared(const char* name, int strategy) {
  const auto& catalogue = Catalogue::liquid();
  const auto& liv_class = catalogue.at(name);
  return names_in(catalogue.featurizer_of(liv_class), catalogue.shared_groups(liv_class.id, strategy));
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Liquid, HoldsTheClassesUnderTheirIds) {
  const auto& catalogue = Catalogue::named("liquid");
  std::vector<std::pair<int, std::string>> rows;
  for (const auto& liv_class : catalogue.classes()) {
    rows.emplace_back(liv_class.id, liv_class.name);
    EXPECT_EQ(&catalogue.at(liv_class.id), &liv_class);
    EXPECT_EQ(&catalogue.at(liv_class.name), &liv_class);
    EXPECT_FALSE(liv_class.definition.empty());
  }
  EXPECT_THAT(
      rows, ElementsAre(std::pair(1, "SA-1"), std::pair(2, "SA-2"), std::pair(3, "SA-3"), std::pair(4, "Rec-1"), std::pair(5, "Rec-2"),
                        std::pair(6, "GConv-1"), std::pair(7, "GConv-2"), std::pair(8, "GMemless"), std::pair(9, "GMemless-2"),
                        std::pair(10, "GMemless-3"), std::pair(11, "S4-1"), std::pair(12, "S4-2"), std::pair(13, "S4-Monarch"),
                        std::pair(14, "SA-1-Diff"), std::pair(15, "SA-2-Diff"), std::pair(16, "SA-3-Diff"), std::pair(17, "Rec-1-Diff"),
                        std::pair(18, "Rec-2-Diff"), std::pair(19, "GConv-1-Diff"), std::pair(20, "GConv-2-Diff"), std::pair(21, "S4-Diff"),
                        std::pair(22, "SA-4"), std::pair(23, "SA-5"), std::pair(24, "SA-4-Diff"), std::pair(25, "SA-5-Diff")));
}

TEST(Liquid, FeaturizersListTheirGroupsInTheOrderOfTheReference) {
  const auto& catalogue = Catalogue::liquid();
  const auto groups = [&](const char* name) { return names_in(catalogue.featurizer_of(catalogue.at(name)), ~GroupMask{0}); };
  for (const auto* name : {"SA-1", "SA-2", "SA-3", "SA-4", "SA-5"}) EXPECT_THAT(groups(name), ElementsAre("q", "k", "v"));
  EXPECT_THAT(groups("Rec-1"), ElementsAre("B", "C", "A", "v", "z"));
  EXPECT_THAT(groups("Rec-2"), ElementsAre("B", "C", "A", "v"));
  for (const auto* name : {"S4-1", "S4-2", "S4-Monarch"}) EXPECT_THAT(groups(name), ElementsAre("B", "C", "A", "v", "z"));
  for (const auto* name : {"GConv-1", "GConv-2"}) EXPECT_THAT(groups(name), ElementsAre("B", "C", "v", "K"));
  for (const auto* name : {"GMemless", "GMemless-2", "GMemless-3"}) EXPECT_THAT(groups(name), ElementsAre("gate", "value"));
}

TEST(Liquid, StrategiesShareTheGroupsOfTheFamily) {
  for (const auto* name : {"SA-1", "SA-2", "SA-3", "SA-4", "SA-5"}) {
    EXPECT_THAT(shared(name, 1), ElementsAre());
    EXPECT_THAT(shared(name, 2), ElementsAre("k", "v"));
    EXPECT_THAT(shared(name, 3), ElementsAre("k"));
    EXPECT_THAT(shared(name, 4), ElementsAre("v"));
  }
  for (const auto* name : {"Rec-1", "Rec-2", "GConv-1", "GConv-2"}) {
    EXPECT_THAT(shared(name, 2), ElementsAre("B", "C"));
    EXPECT_THAT(shared(name, 3), ElementsAre("B"));
    EXPECT_THAT(shared(name, 4), ElementsAre("C"));
  }
  for (const auto* name : {"GMemless", "GMemless-2", "GMemless-3"}) EXPECT_THAT(shared(name, 2), ElementsAre("gate"));
  for (const int id : {8, 9, 10}) EXPECT_EQ(Catalogue::liquid().feature_strategies(id), 2);
  EXPECT_EQ(Catalogue::liquid().feature_strategies(4), 4);
}

TEST(Liquid, DifferentialsHaveTheirBasesGenomeAndTheGroupsThatModulateTwice) {
  const auto& catalogue = Catalogue::liquid();
  const auto groups = [&](const char* name) { return names_in(catalogue.featurizer_of(catalogue.at(name)), ~GroupMask{0}); };
  for (const auto& liv_class : catalogue.classes()) {
    if (!liv_class.differential) continue;
    ASSERT_TRUE(liv_class.name.ends_with("-Diff"));
    const auto name = liv_class.name.substr(0, liv_class.name.size() - 5);
    const auto& base = catalogue.at(name == "S4" ? "S4-1" : name);
    EXPECT_FALSE(base.differential);
    EXPECT_EQ(base.family, liv_class.family);
    EXPECT_EQ(base.op, liv_class.op);
    EXPECT_EQ(catalogue.feature_strategies(base.id), catalogue.feature_strategies(liv_class.id));
  }
  for (const auto* name : {"SA-1-Diff", "SA-3-Diff", "SA-4-Diff", "SA-5-Diff"}) {
    EXPECT_THAT(groups(name), ElementsAre("q", "k", "v")) << "their heads are split";
    EXPECT_THAT(shared(name, 2), ElementsAre("k", "v"));
  }
  EXPECT_THAT(groups("Rec-1-Diff"), ElementsAre("B", "C", "A", "v", "z", "B2", "C2", "A2"));
  EXPECT_THAT(groups("Rec-2-Diff"), ElementsAre("B", "C", "A", "v", "B2", "C2", "A2"));
  for (const auto* name : {"GConv-1-Diff", "GConv-2-Diff"}) EXPECT_THAT(groups(name), ElementsAre("B", "C", "v", "K", "B2", "C2", "K2"));
  EXPECT_THAT(groups("S4-Diff"), ElementsAre("B", "C", "A", "v", "z", "B2", "C2", "A2"));
  EXPECT_THAT(groups("SA-2-Diff"), ElementsAre("q", "k", "v", "q2", "k2"));
  EXPECT_THAT(shared("SA-2-Diff", 2), ElementsAre("k", "v", "k2"));
  EXPECT_THAT(shared("SA-2-Diff", 3), ElementsAre("k", "k2"));
  EXPECT_THAT(shared("SA-2-Diff", 4), ElementsAre("v"));
  for (const auto* name : {"Rec-1-Diff", "Rec-2-Diff", "GConv-1-Diff", "GConv-2-Diff", "S4-Diff"}) {
    EXPECT_THAT(shared(name, 2), ElementsAre("B", "C", "B2", "C2"));
    EXPECT_THAT(shared(name, 3), ElementsAre("B", "B2"));
    EXPECT_THAT(shared(name, 4), ElementsAre("C", "C2"));
  }
}

TEST(Star, HoldsThePapersClassesUnderItsIds) {
  const auto& catalogue = Catalogue::named("star");
  std::vector<std::string> names;
  for (const auto& liv_class : catalogue.classes()) {
    names.push_back(liv_class.name);
    EXPECT_EQ(liv_class.id, static_cast<int>(names.size()));
  }
  EXPECT_THAT(names, ElementsAre("SA-1", "SA-2", "SA-3", "SA-4", "Rec-1", "Rec-2", "GConv-1", "GConv-2", "GMemless", "SA-1-Diff",
                                 "SA-2-Diff", "SA-3-Diff", "SA-4-Diff", "Rec-1-Diff", "Rec-2-Diff", "GConv-1-Diff", "GConv-2-Diff"));
  const auto named = [&](int id, const char* group) -> const FeatureGroup& {
    const auto& featurizer = catalogue.featurizer_of(catalogue.at(id));
    return featurizer.groups[static_cast<std::size_t>(group_index(featurizer, group))];
  };
  EXPECT_EQ(catalogue.at(2).op.nonlinearity, Nonlinearity::softmax);
  for (const auto* group : {"q", "k", "v"}) EXPECT_EQ(named(2, group).kernel, 3) << "the convolved featurizer";
  EXPECT_EQ(group_channels(named(3, "k"), 96), 24);
  EXPECT_EQ(group_channels(named(4, "v"), 96), 48);
  EXPECT_EQ(named(5, "A").parametrisation, Parametrisation::selective);
  EXPECT_EQ(named(6, "A").parametrisation, Parametrisation::decay);
  for (int id = 10; id <= 17; ++id) {
    EXPECT_TRUE(catalogue.at(id).differential);
    EXPECT_EQ(catalogue.at(id).op, catalogue.at(id - 9).op);
  }
}

TEST(Catalogue, UnknownNamesAreAnsweredWithTheNearest) {
  EXPECT_THAT(message_of([] { Catalogue::named("liqid"); }), HasSubstr("did you mean 'liquid'?"));
  EXPECT_THAT(message_of([] { Catalogue::liquid().at("GConv1"); }), HasSubstr("did you mean 'GConv-1'?"));
  EXPECT_THAT(message_of([] { Catalogue::liquid().at(99); }), HasSubstr("class 99 is not in the catalogue 'liquid' (1 SA-1, 2 SA-2"));
  EXPECT_FALSE(Catalogue::liquid().contains(-1));
  EXPECT_FALSE(Catalogue::liquid().contains(0));
  EXPECT_FALSE(Catalogue::liquid().contains(32767));
}

TEST(Catalogue, RefusesRowsThatContradictEachOther) {
  const OperatorGenome attention{1, TokenMixing::low_rank, Sparsity::none, Nonlinearity::softmax, ChannelMixing::grouped};
  const auto make = [](std::vector<LivClass> classes, std::vector<Featurizer> featurizers) {
    return message_of([&] { Catalogue("test", std::move(classes), std::move(featurizers)); });
  };
  const auto group = [](const char* name) {
    FeatureGroup result;
    result.name = name;
    return result;
  };
  const Featurizer qkv{1, {group("q"), group("k"), group("v")}};
  EXPECT_EQ(make({{1, "a", attention, "", {}}}, {qkv}), "no error");
  EXPECT_THAT(make({}, {qkv}), HasSubstr("no class"));
  EXPECT_THAT(make({{1, "a", attention, "", {}}, {1, "b", attention, "", {}}}, {qkv}), HasSubstr("class 1 'b': the id is there twice"));
  EXPECT_THAT(make({{1, "a", attention, "", {}}, {2, "a", attention, "", {}}}, {qkv}), HasSubstr("class 2 'a': the name is there twice"));
  EXPECT_THAT(make({{0, "a", attention, "", {}}}, {qkv}), HasSubstr("ids run from 1"));
  EXPECT_THAT(make({{1, "a", attention, "", {}}}, {}), HasSubstr("no featurizer 1"));
  const OperatorGenome memoryless{2, TokenMixing::diagonal, Sparsity::none, Nonlinearity::silu, ChannelMixing::dense};
  EXPECT_THAT(make({{1, "a", memoryless, "", {}, true}}, {{2, {group("gate"), group("value")}}}), HasSubstr("only a token mixer"));
  EXPECT_THAT(make({{1, "a", attention, "", {}}}, {{1, {group("q"), group("v")}}}),
              HasSubstr("class 1 'a': the feature group 'k' is missing"));
}

TEST(Heads, AreFourPer256ChannelsAndHaveAMultipleOfFourChannels) {
  EXPECT_EQ(heads_at(16), 4);
  EXPECT_EQ(heads_at(96), 4);
  EXPECT_EQ(heads_at(512), 8);
  EXPECT_EQ(heads_at(768), 12);
  EXPECT_EQ(heads_at(2048), 32);
  EXPECT_THAT(message_of([] { heads_at(100); }),
              HasSubstr("width 100 has no legal head size: its 4 heads need a multiple of 16 channels (96 or 112)"));
  EXPECT_THAT(message_of([] { heads_at(8); }), HasSubstr("(16)"));
  EXPECT_THROW(heads_at(0), UserError);
  EXPECT_THROW(heads_at(-16), UserError);
}

TEST(Heads, RefusalsProposeLegalWidths) {
  for (std::int64_t width = 1; width < 3000; ++width) {
    const auto message = message_of([&] { heads_at(width); });
    if (message == "no error") continue;
    const auto list = message.substr(message.rfind('(') + 1);
    EXPECT_NO_THROW(heads_at(std::stoll(list))) << message;
    const auto either = list.find(" or ");
    if (either == std::string::npos) continue;
    EXPECT_NO_THROW(heads_at(std::stoll(list.substr(either + 4)))) << message;
  }
}

TEST(InnerWidth, IsTheMultipleOfEightNearestToEightThirds) {
  EXPECT_EQ(memoryless_inner(768), 2048);
  EXPECT_EQ(memoryless_inner(2048), 5464);
  EXPECT_EQ(memoryless_inner(96), 256);
  const auto& catalogue = Catalogue::liquid();
  const auto& gate = catalogue.featurizer_of(catalogue.at("GMemless")).groups[0];
  for (std::int64_t width = 16; width < 4096; width += 16) {
    const auto inner = memoryless_inner(width);
    EXPECT_EQ(inner % 8, 0);
    EXPECT_LE(std::abs(3 * inner - 8 * width), 12) << width;
    EXPECT_EQ(inner, group_channels(gate, width)) << width;
  }
}

}  // namespace
}  // namespace starling::genome
