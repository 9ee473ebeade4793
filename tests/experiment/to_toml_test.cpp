// What is written back of an experiment, and what the keys say of themselves.
#include <gmock/gmock.h>

#include <cmath>

#include <starling/base/random.hpp>
#include <starling/experiment/objectives.hpp>

#include "examples.hpp"

namespace starling::experiment {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ToToml, WritesEveryKeyOfTheKindInItsSection) {
  const auto text = to_toml(parse(language, "x.toml"));
  EXPECT_THAT(text, StartsWith("name = \"experiment\"\nseed = 1\nworkers = 1\ndevices = \"auto\"\ncandidates_per_device = 1\n\n[budget]\n"
                               "evaluations = 48\n\n[task]\nkind = \"language-model\"\n"));
  EXPECT_THAT(text, HasSubstr("learning_rate = 0.0008\n"));
  EXPECT_THAT(text, HasSubstr("\n[evaluation]\nattempts = 3\ngive_up_after = 5\ntest = true\ndeadline_minutes = 60.0\n"));
  EXPECT_THAT(text, HasSubstr("vocabulary = 257\n"));
  EXPECT_THAT(text, HasSubstr("separator = 256\n"));
  EXPECT_THAT(to_toml(parse(mad, "x.toml")), HasSubstr("vocabulary = 16\n"));
}

/// A valid experiment with every field drawn.
Experiment random_experiment(Stream& stream) {
  const auto integer = [&](std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(most - least + 1)));
  };
  const auto text = [&] {
    static const std::vector<std::string> pieces{"a", "/", "**", "\"", "\\", "\n", "\t", "\x01", "\x7f",
                                                 "é", "🐦", "'",  "#",  " ",  "=",  "]",  "{"};
    std::string made;
    for (auto n = integer(1, 12); n > 0; --n) made += pieces[stream.below(pieces.size())];
    return made;
  };
  Experiment e;
  e.source = "x.toml";
  e.name = "n" + std::to_string(stream.below(1000)) + "-_.x";
  e.seed = stream.next64() >> 1;
  e.workers = integer(1, 1024);
  e.candidates_per_device = integer(1, 64);
  if (stream.chance(0.5)) e.devices = stream.chance(0.5) ? std::vector<std::string>{"cpu"} : std::vector<std::string>{"cuda:7", "cuda:10"};
  e.search.algorithm = stream.chance(0.5) ? "nsga2" : "random";
  e.search.population = integer(2, 100);
  e.evaluations = e.search.population + integer(1, 100);
  e.search.tournament = integer(1, e.search.population);
  e.model.depth = integer(2, 40);
  e.model.width = 512 * integer(1, 8);
  e.search.crossover_points = integer(1, 5 * e.model.depth - 1);
  e.search.mutation = stream.uniform();
  e.model.band = integer(1, 1'048'576);
  if (stream.chance(0.3)) e.model.classes = parse(with_classes, "x.toml").model.classes;
  e.search.require_mixer_and_map = stream.chance(0.5);
  e.search.paths = stream.chance(0.5);
  e.search.routes = stream.chance(0.5);
  e.search.variable_depth = stream.chance(0.5);
  if (stream.chance(0.5)) e.search.segments.emplace_back("operator");
  if (stream.chance(0.5)) e.search.segments.emplace_back("featurizer");
  e.search.objectives.clear();
  for (const auto& name : objective_names()) {
    if (e.search.objectives.empty() || stream.chance(0.5)) e.search.objectives.push_back(name);
  }
  if (stream.chance(0.5)) e.search.baselines.pop_back();
  e.task.sequence_length = 2 * integer(2, 1000);
  if (stream.chance(0.2)) {
    e.task.kind = "series";
    e.task.files = {text()};
    for (auto n = integer(0, 4); n > 0; --n) e.task.columns.push_back(text() + std::to_string(n));
    e.task.validation_fraction = (stream.uniform() + 1e-12) / 3;
    e.task.test_fraction = (stream.uniform() + 1e-12) / 3;
    e.task.validation_tokens = integer(0, 1'000'000);
  } else if (stream.chance(0.5)) {
    e.task.kind = "mad";
    e.task.mad_task = "in-context-recall";
    e.task.vocabulary = 2 * integer(2, 32768);
    e.task.training_sequences = integer(1, 100'000'000);
    e.task.test_sequences = integer(1, 100'000'000);
    if (stream.chance(0.3)) {
      e.task.mad_task = "noisy-recall";
      e.task.noise_vocabulary = 2 * integer(1, e.task.vocabulary);
      e.task.vocabulary = std::min<std::int64_t>(65'536, e.task.vocabulary + e.task.noise_vocabulary);
      if (e.task.vocabulary - e.task.noise_vocabulary < 4) e.task.noise_vocabulary = e.task.vocabulary - 4;
      e.task.noise = stream.uniform();
    } else if (stream.chance(0.3)) {
      e.task.mad_task = "selective-copying";
      e.task.copied = integer(1, (e.task.sequence_length - 1) / 2);
    }
  } else {
    e.task.kind = "language-model";
    e.task.files = {text()};
    if (const auto other = text(); other != e.task.files[0]) e.task.files.push_back(other);
    e.task.text_key = text();
    e.task.vocabulary = integer(257, 65536);
    e.task.separator = 256;
    e.task.max_bytes = integer(0, 1'000'000'000'000);
    e.task.validation_fraction = (stream.uniform() + 1e-12) / 3;
    e.task.test_fraction = (stream.uniform() + 1e-12) / 3;
    e.task.validation_tokens = integer(0, 1'000'000);
  }
  e.training.batch_tokens = e.task.sequence_length * integer(1, 100);
  e.training.tokens = e.training.batch_tokens + integer(0, 1'000'000'000'000);
  e.training.learning_rate = std::exp(-30 * stream.uniform());
  e.training.warmup = stream.uniform();
  e.training.schedule = stream.chance(0.5) ? "linear" : "constant";
  if (e.training.schedule != "constant") e.training.final_learning_rate = stream.uniform();
  e.training.weight_decay = stream.uniform() * 10;
  e.training.gradient_clip = std::exp(20 * stream.uniform() - 10);
  e.training.initialization = stream.chance(0.5) ? "glorot" : "he";
  e.worker_options.attempts = integer(1, 100);
  e.worker_options.test = stream.chance(0.5);
  e.worker_options.give_up_after = integer(1, 1'000);
  e.worker_options.deadline_minutes = std::exp(10 * stream.uniform());
  return e;
}

TEST(ToToml, RoundTripsEveryValidExperimentExactly) {
  Stream stream(20240607, Purpose::test);
  for (int i = 0; i < 500; ++i) {
    const auto e = random_experiment(stream);
    const auto text = to_toml(e);
    ASSERT_EQ(parse(text, "x.toml"), e) << text;
  }
}

TEST(ToToml, RoundTripsNamesWithAnyNumberOfDots) {
  auto experiment = parse(language, "x.toml");
  experiment.task.files.clear();
  for (int i = 0; i < 2000; ++i) experiment.task.files.push_back("../it's \"a.b\".c\\" + std::to_string(i) + ".txt");
  const auto text = to_toml(experiment);
  EXPECT_EQ(parse(text, "x.toml"), experiment);
  EXPECT_EQ(parse("# " + std::string(2000, '.') + "\n" + text, "x.toml"), experiment);
}

TEST(ToToml, LeavesOutAKeyThatAnotherLeavesNothingToSay) {
  const auto constant = to_toml(parse(language, "x.toml", {"training.schedule=constant"}));
  EXPECT_THAT(constant, Not(HasSubstr("final_learning_rate")));
  EXPECT_EQ(to_toml(parse(constant, "x.toml")), constant);
  EXPECT_THAT(to_toml(parse(language, "x.toml", {"training.schedule=linear"})), HasSubstr("\nfinal_learning_rate = 0.1\n"));
}

TEST(Keys, DescribeThemselves) {
  const auto rows = keys();
  ASSERT_GT(rows.size(), 30u);
  for (const auto& row : rows) {
    EXPECT_FALSE(row.help.empty()) << row.key;
    EXPECT_THAT(row.type, ::testing::AnyOf("integer", "number", "string", "list of strings", "boolean")) << row.key;
    EXPECT_EQ(row.range.empty(), row.type == "boolean") << row.key;
  }
  std::vector<std::string> required;
  for (const auto& row : rows) {
    if (row.default_value.empty()) required.push_back(row.key);
  }
  EXPECT_THAT(required, ::testing::ElementsAre("budget.evaluations", "task.kind", "task.files", "task.name", "task.sequence_length",
                                               "training.tokens"));
}

TEST(Keys, OfClassRowsDescribeThemselves) {
  std::vector<std::string> required;
  for (const auto& row : class_keys()) {
    EXPECT_FALSE(row.help.empty()) << row.key;
    EXPECT_TRUE(row.key.starts_with("class."));
    if (row.default_value.empty()) required.push_back(row.key);
  }
  EXPECT_THAT(required, ::testing::ElementsAre("class.id", "class.name", "class.operator", "class.groups.name"));
}

TEST(Keys, HaveDefaultsThatAreLegalThemselves) {
  for (const auto& row : keys()) {
    if (row.default_value.empty()) continue;
    std::vector<std::string> overrides{row.key + "=" + row.default_value};
    const auto has = [&](const char* text) { return row.help.find(text) != std::string::npos; };
    if (has("(MAD task \"noisy-recall\")")) overrides.insert(overrides.end(), {"task.name=noisy-recall", "task.vocabulary=32"});
    if (has("(MAD task \"selective-copying\")")) overrides.emplace_back("task.name=selective-copying");
    const bool is_mad = has("(kind \"mad\")") || overrides.size() > 1;
    EXPECT_NO_THROW(parse(is_mad ? mad : has("(kind \"series\")") ? series : language, "x.toml", overrides)) << row.key;
  }
}

}  // namespace
}  // namespace starling::experiment
