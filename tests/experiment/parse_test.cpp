#include <gmock/gmock.h>

#include <filesystem>

#include <starling/experiment/objectives.hpp>

#include <support/temporary_folder.hpp>

#include "examples.hpp"

namespace starling::experiment {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Parse, FillsInDefaultsWhereAKeyIsAbsent) {
  const auto e = parse(language, "x.toml");
  EXPECT_EQ(e.evaluations, 48);
  EXPECT_EQ(e.task.kind, "language-model");
  EXPECT_EQ(e.task.files, std::vector<std::string>{"/usr/include/caf/**/*.hpp"});
  EXPECT_EQ(e.task.sequence_length, 256);
  EXPECT_EQ(e.training.tokens, 100'000);
  auto rest = Experiment{};
  EXPECT_EQ(e.search, rest.search);
  EXPECT_EQ(e.model, rest.model);
  EXPECT_EQ(e.worker_options, rest.worker_options);
  EXPECT_EQ(e.seed, 1u);
}

TEST(Parse, ReadsEveryKeyOfALanguageModel) {
  const auto e = parse(R"(
name = "all-keys.1"
seed = 9223372036854775807
workers = 3
devices = ["cuda:1", "cuda:0"]
candidates_per_device = 2
budget.evaluations = 30
[task]
kind = "language-model"
files = ["a", "b/**"]
text_key = "content"
tokenizer = "bytes"
max_bytes = 5
validation_fraction = 0.25
test_fraction = 0.125
validation_tokens = 7
sequence_length = 64
[model]
depth = 4
width = 512
catalogue = "liquid"
[search]
algorithm = "random"
schedule = "steady-state"
objectives = ["parameters"]
population = 8
tournament = 2
crossover_points = 1
mutation = 1
require_mixer_and_map = false
paths = true
routes = true
variable_depth = true
segments = ["backbone", "featurizer"]
baselines = []
[training]
tokens = 640
batch_tokens = 128
micro_batch_tokens = 64
learning_rate = 0.5
schedule = "linear"
warmup = 0
final_learning_rate = 1
weight_decay = 0.25
gradient_clip = 2
dropout = 0.125
recompute = true
initialization = "he"
precision = "f32"
[evaluation]
attempts = 5
give_up_after = 2
test = false
deadline_minutes = 0.5
)",
                       "x.toml");
  Experiment expected;
  expected.source = "x.toml";
  expected.name = "all-keys.1";
  expected.seed = 9223372036854775807u;
  expected.workers = 3;
  expected.devices = {"cuda:1", "cuda:0"};
  expected.candidates_per_device = 2;
  expected.evaluations = 30;
  expected.task.kind = "language-model";
  expected.task.files = {"a", "b/**"};
  expected.task.text_key = "content";
  expected.task.separator = 256;
  expected.task.vocabulary = 257;
  expected.task.max_bytes = 5;
  expected.task.validation_fraction = 0.25;
  expected.task.test_fraction = 0.125;
  expected.task.validation_tokens = 7;
  expected.task.sequence_length = 64;
  expected.model = {4, 512, "liquid"};
  expected.search = {"random", "steady-state", {"parameters"}, 8, 2, 1, 1.0, false, true, true, true, {}, {"backbone", "featurizer"}};
  expected.training = {.tokens = 640,
                       .batch_tokens = 128,
                       .micro_batch_tokens = 64,
                       .learning_rate = 0.5,
                       .schedule = "linear",
                       .warmup = 0,
                       .final_learning_rate = 1,
                       .weight_decay = 0.25,
                       .gradient_clip = 2,
                       .dropout = 0.125,
                       .recompute = true,
                       .initialization = "he",
                       .precision = "f32"};
  expected.worker_options = {5, 2, false, 0.5};
  EXPECT_EQ(e, expected);
}

TEST(Parse, ReadsEveryKeyOfAMadTask) {
  const auto e = parse(mad, "x.toml", {"task.vocabulary=32", "task.training_sequences=100", "task.test_sequences=10"});
  EXPECT_EQ(e.task.mad_task, "in-context-recall");
  EXPECT_EQ(e.task.vocabulary, 32);
  EXPECT_EQ(e.task.training_sequences, 100);
  EXPECT_EQ(e.task.test_sequences, 10);
  EXPECT_EQ(vocabulary(e), 32);
}

TEST(Parse, KnowsTheVocabularyOfBytesAndMadTasksAndAsksForThatOfShards) {
  EXPECT_EQ(vocabulary(parse(language, "x.toml")), 257);
  EXPECT_EQ(vocabulary(parse(language, "x.toml", {"task.vocabulary=320"})), 320);
  EXPECT_EQ(vocabulary(parse(mad, "x.toml")), 16);
  const auto shards = parse(language, "x.toml", {"task.files=['a.bin']"});
  EXPECT_EQ(shards.task.tokenizer, "none");
  EXPECT_EQ(shards.task.separator, -1);
  EXPECT_THROW(vocabulary(shards), UserError);
  EXPECT_EQ(dimensions(parse(language, "x.toml", {"task.files=['a.bin']", "task.vocabulary=50257"})).vocabulary, 50257);
  EXPECT_EQ(vocabulary(parse(language, "x.toml", {"task.files=['a.bin']", "task.tokenizer=bytes"})), 257);
}

TEST(Parse, ReadsASeriesWhoseColumnsWhoeverStartsARunFillsIn) {
  const auto bare = parse(series, "x.toml");
  EXPECT_EQ(bare.task.columns, std::vector<std::string>{});
  EXPECT_EQ(bare.task.vocabulary, 0);
  EXPECT_THAT(to_toml(bare), HasSubstr("\ncolumns = []\n"));
  EXPECT_THAT(to_toml(bare), ::testing::Not(HasSubstr("vocabulary")));
  EXPECT_THROW(columns(bare), UserError);
  EXPECT_THROW(dimensions(bare), UserError);
  const auto named =
      parse(series, "x.toml", {"task.columns=['load', 'x[0]']", "task.validation_fraction=0.2", "task.validation_tokens=50"});
  EXPECT_EQ(columns(named), (std::vector<std::string>{"load", "x[0]"}));
  EXPECT_EQ(dimensions(named).channels, 2);
  EXPECT_EQ(dimensions(named).vocabulary, 0);
  EXPECT_EQ(dimensions(parse(language, "x.toml")).channels, 0);
}

TEST(Parse, KnowsTheKindOfATaskInWhateverElseARunHolds) {
  EXPECT_EQ(task_kind(to_toml(parse(series, "x.toml"))), "series");
  EXPECT_EQ(task_kind("[task]\nkind = 'mad'\nfuture = 1\n"), "mad");
  EXPECT_EQ(task_kind("name = 'x'\n"), "");
  EXPECT_EQ(task_kind("[task"), "");
}

TEST(Parse, GivesTheSearchAndTheModelTheirSettings) {
  const auto e =
      parse(language, "x.toml",
            {"seed=7", "search.algorithm=random", "search.objectives=[\"quality\"]", "model.depth=8", "search.require_mixer_and_map=false",
             "evaluation.attempts=2", "search.population=5", "search.paths=true", "search.routes=true", "search.variable_depth=true"});
  const auto settings = search_settings(e);
  EXPECT_EQ(settings.breeding.algorithm, search::Algorithm::random);
  EXPECT_EQ(settings.breeding.seed, 7u);
  EXPECT_EQ(settings.breeding.population, 5u);
  EXPECT_EQ(settings.breeding.tournament, 3);
  EXPECT_EQ(settings.breeding.crossover_points, 2);
  EXPECT_EQ(settings.breeding.mutation, 0.1);
  EXPECT_EQ(settings.breeding.space.depth, 8u);
  EXPECT_FALSE(settings.breeding.space.require_mixer_and_map);
  EXPECT_TRUE(settings.breeding.space.paths);
  EXPECT_TRUE(settings.breeding.space.routes);
  EXPECT_TRUE(settings.breeding.space.variable_depth);
  EXPECT_FALSE(search_settings(parse(language, "x.toml")).breeding.space.paths);
  EXPECT_FALSE(settings.breeding.space.operators || settings.breeding.space.featurizers);
  const auto evolved = search_settings(parse(language, "x.toml", {"search.segments=[\"backbone\", \"featurizer\"]", "model.width=128"}));
  EXPECT_FALSE(evolved.breeding.space.operators);
  EXPECT_TRUE(evolved.breeding.space.featurizers);
  EXPECT_EQ(evolved.breeding.space.width, 128);
  EXPECT_EQ(settings.breeding.space.catalogue, &genome::Catalogue::liquid());
  const auto star = parse(language, "x.toml", {"model.catalogue=star"});
  EXPECT_EQ(search_settings(star).breeding.space.catalogue, &genome::Catalogue::star());
  EXPECT_EQ(settings.objectives, 1u);
  EXPECT_EQ(settings.evaluations, 48u);
  EXPECT_EQ(settings.attempts, 2u);
  const auto d = dimensions(e);
  EXPECT_EQ(d.width, 96);
  EXPECT_EQ(d.length, 256);
  EXPECT_EQ(d.vocabulary, 257);
}

class Load : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) { return folder_.write("x.toml", text); }
  std::string complaint_of(const std::filesystem::path& file) {
    try {
      load(file);
    } catch (const UserError& error) {
      return error.what();
    }
    ADD_FAILURE() << "was accepted";
    return "";
  }
  const TemporaryFolder folder_;
  const std::filesystem::path directory_ = folder_.path();
};

TEST_F(Load, ReadsAFileWithWindowsLineEndsAndByteOrderMark) {
  std::string text = "\xef\xbb\xbf";
  for (const char c : language) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const auto file = write(text);
  auto e = load(file);
  EXPECT_EQ(e.source, file.string());
  e.source = "x.toml";
  EXPECT_EQ(e, parse(language, "x.toml"));
}

TEST_F(Load, NamesTheFileThatIsMissingOrADirectoryOrTooLarge) {
  EXPECT_EQ(complaint_of(directory_ / "none.toml"),
            (directory_ / "none.toml").string() + ": there is no such file, expected an experiment in TOML");
  EXPECT_EQ(complaint_of(directory_), directory_.string() + ": is a directory, expected an experiment in TOML");
  EXPECT_EQ(complaint_of("/dev/zero"), "/dev/zero: is larger than 1 MiB, expected an experiment in TOML");
}

TEST_F(Load, NamesFileAndLineOfAnError) {
  const auto file = write(language + "batch_token = 3\n");
  EXPECT_EQ(complaint_of(file), file.string() + ":9: unknown key 'training.batch_token' (did you mean 'training.batch_tokens'?)");
}

TEST(ClassRows, JoinTheCatalogue) {
  const auto e = parse(with_classes, "x.toml");
  ASSERT_EQ(e.model.classes.size(), 3u);
  const auto& classes = catalogue(e);
  EXPECT_EQ(classes.name(), "liquid");
  EXPECT_EQ(classes.classes().size(), genome::Catalogue::liquid().classes().size() + 3);
  const auto& local = classes.at(101);
  EXPECT_EQ(local.name, "Local");
  EXPECT_EQ(local.op, (genome::OperatorGenome{1, genome::TokenMixing::low_rank, genome::Sparsity::banded, genome::Nonlinearity::softmax,
                                              genome::ChannelMixing::grouped}));
  EXPECT_EQ(classes.featurizer_of(local).groups, classes.featurizer_of(classes.at("SA-1")).groups);
  const auto& groups = classes.featurizer_of(classes.at("Mixed")).groups;
  EXPECT_EQ(groups[0], (genome::FeatureGroup{.name = "q", .token_mixing = genome::TokenMixing::toeplitz, .kernel = 3}));
  EXPECT_EQ(groups[1].channel_mixing, genome::ChannelMixing::monarch);
  EXPECT_EQ(groups[1].expansion, (genome::Expansion{1, 4, false})) << "2/8, reduced";
  EXPECT_EQ(groups[2].nonlinearity, genome::Nonlinearity::silu);
  EXPECT_EQ(groups[2].repeat, 2);
  EXPECT_TRUE(classes.at(103).differential);
  EXPECT_EQ(classes.at(103).definition, "T₁ − λ T₂");
  EXPECT_EQ(classes.featurizer_of(classes.at(103)).groups.size(), 5u) << "q and k twice, of the featurizer that row 102 defines";
}

TEST(ClassRows, MakeOneCatalogueForEqualExperiments) {
  EXPECT_EQ(&catalogue(parse(with_classes, "x.toml")), &catalogue(parse(with_classes, "y.toml", {"seed=7"})));
  EXPECT_NE(&catalogue(parse(with_classes, "x.toml")), &genome::Catalogue::liquid());
  EXPECT_EQ(&catalogue(parse(language, "x.toml")), &genome::Catalogue::liquid());
  EXPECT_EQ(search_settings(parse(with_classes, "x.toml")).breeding.space.catalogue, &catalogue(parse(with_classes, "x.toml")));
}

TEST(ClassRows, ReadEveryExpansion) {
  const auto expansion = [](const std::string& value) {
    const auto toml = language +
                      "[[class]]\nid = 1000\nname = 'x'\noperator = [50, 1, 1, 4, 2]\ngroups = [{name = 'gate', expansion = " + value +
                      "}, {name = 'value', expansion = " + value + "}]\n";
    return parse(toml, "x.toml").model.classes.at(0).groups.at(0).expansion;
  };
  EXPECT_EQ(expansion("2"), (genome::Expansion{2, 1, false}));
  EXPECT_EQ(expansion("'8/3'"), (genome::Expansion{8, 3, false}));
  EXPECT_EQ(expansion("'3'"), (genome::Expansion{3, 1, false}));
  EXPECT_EQ(expansion("'16 per token'"), (genome::Expansion{16, 1, true}));
}

TEST(Parse, TakesTheSettingsOfAMadTaskThatAreNotGivenFromThePaper) {
  const auto vocabulary_of = [](const std::string& task) {
    auto text = mad;
    if (const auto at = text.find("vocabulary = "); at != std::string::npos) text.erase(at, text.find('\n', at) - at);
    return parse(text, "x.toml", {"task.name=" + task}).task.vocabulary;
  };
  EXPECT_EQ(vocabulary_of("fuzzy-recall"), 16);
  EXPECT_EQ(vocabulary_of("noisy-recall"), 32);
  EXPECT_EQ(vocabulary_of("memorisation"), 256);
  EXPECT_EQ(parse(mad, "x.toml", {"task.name=memorisation", "task.vocabulary=64"}).task.vocabulary, 64);
}

TEST(Objectives, AreNamedOnceAndHaveTheirColumns) {
  EXPECT_THAT(objective_names(), ::testing::ElementsAre("quality", "parameters", "cache", "flops"));
  for (const auto& info : all_objectives("mad")) {
    EXPECT_EQ(info.column, "obj_" + info.name);
    EXPECT_EQ(info.direction, "minimise");
    EXPECT_FALSE(info.unit.empty());
  }
  EXPECT_EQ(all_objectives("language-model")[0].unit, "nats per token");
  EXPECT_EQ(all_objectives("mad")[0].unit, "1 - accuracy");
  EXPECT_EQ(all_objectives("series")[0].unit, "mean squared error of normalised columns");
}

TEST(Objectives, OfAnExperimentKeepItsOrder) {
  const auto chosen = objectives_of(parse(mad, "x.toml", {"search.objectives=['cache', 'quality']"}));
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].name, "cache");
  EXPECT_EQ(chosen[1].unit, "1 - accuracy");
  EXPECT_EQ(objectives_of(parse(series, "x.toml"))[0].unit, "mean squared error of normalised columns");
}

}  // namespace
}  // namespace starling::experiment
