#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include <starling/base/random.hpp>
#include <starling/experiment/experiment.hpp>

#include "examples.hpp"

namespace starling::experiment {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string without(std::string text, const std::string& line) {
  const auto at = text.find(line);
  EXPECT_NE(at, std::string::npos) << line;
  return text.erase(at, line.size());
}

TEST(UnknownKeys, AreErrorsWithLineAndNearestName) {
  EXPECT_EQ(complaint_about("learning_rat = 1"), "x.toml:9: unknown key 'training.learning_rat' (did you mean 'training.learning_rate'?)");
  EXPECT_EQ(complaint_about("[serch]\npopulation = 1"), "x.toml:10: unknown key 'serch.population' (did you mean 'search.population'?)");
  EXPECT_EQ(complaint_about("[serch]"), "x.toml:9: unknown section [serch] (did you mean [search]?)");
  EXPECT_EQ(complaint_about("evaluations = 3"), "x.toml:9: unknown key 'training.evaluations' (did you mean 'budget.evaluations'?)");
  EXPECT_EQ(complaint_about("zzzzzzzzzzzzzzzzzzzzzzzz = 3"), "x.toml:9: unknown key 'training.zzzzzzzzzzzzzzzzzzzzzzzz'");
}

TEST(UnknownKeys, IncludeThoseOfLaterVersions) {
  for (const std::string line : {"[search]\nspecies = 2", "[budget2]\nhours = 3", "[[classes]]\nid = 3"}) {
    EXPECT_THAT(complaint_about(line), HasSubstr("unknown key")) << line;
  }
  EXPECT_EQ(complaint("plugins = 'all'\n" + language), "x.toml:1: unknown key 'plugins'");
}

TEST(UnknownKeys, AreNotReachedThroughAQuotedDot) {
  EXPECT_THAT(complaint("\"budget.evaluations\" = 3\n" + language), StartsWith("x.toml:1: unknown key '\"budget.evaluations\"'"));
}

TEST(Types, AreCheckedWithWhatWasFoundAndExpected) {
  EXPECT_EQ(complaint_about("batch_tokens = '1024'"),
            "x.toml:9: 'training.batch_tokens' is the string \"1024\", expected an integer (2 … 1000000000)");
  EXPECT_EQ(complaint_about("batch_tokens = 1e3"),
            "x.toml:9: 'training.batch_tokens' is the number 1000.0, expected an integer (2 … 1000000000); write 1000");
  EXPECT_EQ(complaint_about("batch_tokens = true"), "x.toml:9: 'training.batch_tokens' is true, expected an integer (2 … 1000000000)");
  EXPECT_EQ(complaint_about("learning_rate = 2020-01-01"),
            "x.toml:9: 'training.learning_rate' is a date, expected a number (above 0 … 10)");
  EXPECT_EQ(complaint_about("learning_rate = [1]"), "x.toml:9: 'training.learning_rate' is a list, expected a number (above 0 … 10)");
  EXPECT_EQ(complaint_about("precision = 32"), "x.toml:9: 'training.precision' is the integer 32, expected a string (f32 | bf16 | tf32)");
  EXPECT_EQ(complaint_about("[search]\nobjectives = 'quality'"),
            "x.toml:10: 'search.objectives' is the string \"quality\", expected a list of strings (quality | "
            "parameters | cache | flops); write "
            "[\"quality\"]");
  EXPECT_EQ(complaint_about("[search]\nobjectives = ['quality', 3]"),
            "x.toml:10: 'search.objectives' holds the integer 3, expected a list of strings (quality | parameters | cache | flops)");
  EXPECT_EQ(complaint_about("[search]\nrequire_mixer_and_map = 1"),
            "x.toml:10: 'search.require_mixer_and_map' is the integer 1, expected a boolean");
  EXPECT_EQ(complaint("model = 3\n" + language), "x.toml:1: 'model' is the integer 3, expected a section: [model]");
  EXPECT_THAT(complaint_about("[seed]\nx = 3"), StartsWith("x.toml:9: 'seed' is a section, expected an integer"));
}

TEST(Ranges, AreCheckedAtBothEnds) {
  EXPECT_EQ(complaint_about("[model]\ndepth = 1"), "x.toml:10: 'model.depth' is 1, expected an integer (2 … 512)");
  EXPECT_EQ(complaint_about("[model]\ndepth = 513"), "x.toml:10: 'model.depth' is 513, expected an integer (2 … 512)");
  EXPECT_EQ(complaint_about("learning_rate = 0"), "x.toml:9: 'training.learning_rate' is 0, expected a number (above 0 … 10)");
  EXPECT_EQ(complaint_about("learning_rate = -1e-3"), "x.toml:9: 'training.learning_rate' is -0.001, expected a number (above 0 … 10)");
  EXPECT_EQ(complaint_about("dropout = 1"), "x.toml:9: 'training.dropout' is 1, expected a number (0 … below 1)");
  EXPECT_EQ(complaint_about("warmup = 1.0"), "x.toml:9: 'training.warmup' is 1, expected a number (0 … below 1)");
  EXPECT_EQ(complaint_about("[search]\nmutation = 1.5"), "x.toml:10: 'search.mutation' is 1.5, expected a number (0 … 1)");
  EXPECT_EQ(complaint("seed = -1\n" + language), "x.toml:1: 'seed' is -1, expected an integer (0 … 9223372036854775807)");
}

TEST(Ranges, KnowNoNumberThatIsNotFinite) {
  EXPECT_EQ(complaint_about("learning_rate = nan"), "x.toml:9: 'training.learning_rate' is nan, expected a number (above 0 … 10)");
  EXPECT_EQ(complaint_about("learning_rate = inf"), "x.toml:9: 'training.learning_rate' is inf, expected a number (above 0 … 10)");
  EXPECT_EQ(complaint_about("weight_decay = -inf"), "x.toml:9: 'training.weight_decay' is -inf, expected a number (0 … 10)");
}

TEST(Ranges, RefuseIntegersBeyond64Bits) {
  EXPECT_THAT(complaint_about("batch_tokens = 99999999999999999999"), AllOf(StartsWith("x.toml:9: not TOML: "), HasSubstr("64 bits")));
  EXPECT_EQ(complaint_about("batch_tokens = 9223372036854775807"),
            "x.toml:9: 'training.batch_tokens' is 9223372036854775807, expected an integer (2 … 1000000000)");
}

TEST(Choices, AreOnlyWhatWorks) {
  EXPECT_EQ(complaint_about("precision = 'fp16'"),
            "x.toml:9: 'training.precision' is \"fp16\", expected f32 | bf16 | tf32 (did you mean 'bf16'?)");
  EXPECT_EQ(complaint_about("[search]\nalgorithm = 'nsga3'"),
            "x.toml:10: 'search.algorithm' is \"nsga3\", expected nsga2 | random (did you mean 'nsga2'?)");
  EXPECT_EQ(complaint_about("[search]\nschedule = 'ordered'"), "x.toml:10: 'search.schedule' is \"ordered\", expected steady-state");
  EXPECT_EQ(complaint_about("[search]\nobjectives = ['qualty']"),
            "x.toml:10: 'search.objectives' is \"qualty\", expected quality | parameters | cache | flops (did you mean 'quality'?)");
  EXPECT_EQ(complaint_about("[search]\nobjectives = ['cache', 'cache']"), "x.toml:10: 'search.objectives' names \"cache\" twice");
  EXPECT_THAT(complaint_about("[search]\nobjectives = []"), StartsWith("x.toml:10: 'search.objectives' is an empty list"));
  EXPECT_THAT(complaint_about("[search]\nbaselines = ['transformer']"),
              AllOf(StartsWith("x.toml:10: 'search.baselines' is \"transformer\""), HasSubstr("did you mean 'transformer++'?")));
  EXPECT_THAT(complaint_about("[model]\ncatalogue = 'stars'"),
              StartsWith("x.toml:10: 'model.catalogue' is \"stars\", expected liquid | star (did you mean 'star'?)"));
  EXPECT_THAT(complaint("name = '../x'\n" + language), StartsWith("x.toml:1: 'name' is \"../x\", expected 1 to 64 letters"));
  EXPECT_THAT(complaint("name = ''\n" + language), StartsWith("x.toml:1: 'name' is \"\""));
}

TEST(MissingKeys, NameFileSectionAndMeaning) {
  EXPECT_EQ(complaint(without(language, "tokens = 100_000\n")),
            "x.toml:7: 'training.tokens' is missing, expected in section [training]: tokens = integer (1 … "
            "1000000000000000). "
            "Tokens, or rows of a series, that a candidate is trained on; whole batches, so the last may go beyond.");
  EXPECT_THAT(complaint(without(language, "[training]\ntokens = 100_000\n")), StartsWith("x.toml: 'training.tokens' is missing"));
  EXPECT_THAT(complaint(without(language, "kind = \"language-model\"\n")), StartsWith("x.toml:3: 'task.kind' is missing"));
  EXPECT_THAT(complaint(without(language, "sequence_length = 256\n")), StartsWith("x.toml:3: 'task.sequence_length' is missing"));
  EXPECT_THAT(complaint(without(language, "files = [\"/usr/include/caf/**/*.hpp\"]\n")), StartsWith("x.toml:3: 'task.files' is missing"));
  EXPECT_THAT(complaint(without(mad, "name = \"in-context-recall\"\n")), StartsWith("x.toml:3: 'task.name' is missing"));
  EXPECT_THAT(complaint(without(language, "evaluations = 48\n")), StartsWith("x.toml:1: 'budget.evaluations' is missing"));
}

TEST(MissingKeys, AreNotAskedForAKindThatIsUnknown) {
  EXPECT_THAT(complaint(without(language, "kind = \"language-model\"\n")), Not(HasSubstr("task.name")));
  EXPECT_THAT(complaint(""), AllOf(HasSubstr("task.kind"), HasSubstr("training.tokens"), Not(HasSubstr("task.files"))));
}

TEST(Kinds, DoNotMix) {
  EXPECT_EQ(complaint(language, {"task.training_sequences=16"}),
            "command line: 'task.training_sequences' belongs to kind 'mad', the task here is 'language-model'");
  EXPECT_EQ(complaint_about("[task2]"), "x.toml:9: unknown section [task2] (did you mean [task]?)");
  EXPECT_EQ(complaint(mad, {"task.files=['a']"}),
            "command line: 'task.files' belongs to kind 'language-model' or 'series', the task here is 'mad'");
  EXPECT_EQ(complaint(series, {"task.vocabulary=20"}),
            "command line: 'task.vocabulary' belongs to kind 'language-model' or 'mad', the task here is 'series'");
  EXPECT_EQ(complaint(series, {"task.max_bytes=20"}),
            "command line: 'task.max_bytes' belongs to kind 'language-model', the task here is 'series'");
  EXPECT_EQ(complaint(language, {"task.columns=['x']"}),
            "command line: 'task.columns' belongs to kind 'series', the task here is 'language-model'");
}

TEST(Kinds, OfASeriesHaveRulesOfTheirOwn) {
  EXPECT_THAT(complaint(series, {"task.columns=['x', 'y', 'x']"}), HasSubstr("names \"x\" twice"));
  EXPECT_THAT(complaint(series, {"task.columns=['']"}), HasSubstr("expected the name of a column"));
  EXPECT_THAT(complaint(series, {"task.validation_fraction=0.5", "task.test_fraction=0.5"}), HasSubstr("leave nothing to train on"));
  EXPECT_THAT(complaint(without(series, "files = [\"*.csv\"]\n")), StartsWith("x.toml:3: 'task.files' is missing"));
}

TEST(Rules, RefuseAWidthThatNoHeadFits) {
  EXPECT_THAT(complaint_about("[model]\nwidth = 100"), StartsWith("x.toml:10: 'model.width' is 100: "));
  EXPECT_NO_THROW(parse(language + "[model]\nwidth = 112\n", "x.toml"));
}

TEST(Rules, RefuseABatchThatIsNoWholeNumberOfSequences) {
  EXPECT_EQ(complaint_about("batch_tokens = 1000"),
            "x.toml:9: 'training.batch_tokens' is 1000, expected a multiple of task.sequence_length = 256");
  EXPECT_THAT(complaint(language, {"training.tokens=1000"}), HasSubstr("expected at least one batch"));
}

TEST(Rules, RefuseAMicroBatchThatIsNoPartOfABatch) {
  EXPECT_EQ(complaint_about("micro_batch_tokens = 500"),
            "x.toml:9: 'training.micro_batch_tokens' is 500, expected 0 or a multiple of task.sequence_length = 256 of at most "
            "training.batch_tokens = 1024");
  EXPECT_THAT(complaint_about("micro_batch_tokens = 2048"), StartsWith("x.toml:9: 'training.micro_batch_tokens' is 2048, expected 0 or"));
  EXPECT_EQ(parse(language + "micro_batch_tokens = 512\n", "x.toml").training.micro_batch_tokens, 512);
}

TEST(Rules, RefuseAFinalRateOfAScheduleThatNeverFalls) {
  EXPECT_EQ(complaint(language + "schedule = 'constant'\nfinal_learning_rate = 0.5\n"),
            "x.toml:10: 'training.final_learning_rate' is 0.5, but a constant training.schedule stays at the peak");
  const auto constant = parse(language + "schedule = 'constant'\n", "x.toml");
  EXPECT_EQ(parse(to_toml(constant), "x.toml"), constant);
}

TEST(Rules, RefuseASplitThatLeavesNothing) {
  EXPECT_THAT(complaint(language, {"task.validation_fraction=0.5", "task.test_fraction=0.5"}), HasSubstr("leave nothing to train on"));
  EXPECT_THAT(complaint(language, {"task.validation_fraction=0"}), HasSubstr("expected a number (above 0 … below 1)"));
}

TEST(Rules, RefuseASearchThatCannotWork) {
  EXPECT_EQ(complaint_about("[search]\ntournament = 17"),
            "x.toml:10: a tournament of 17 needs more members than search.population = 16 has");
  EXPECT_EQ(complaint_about("[search]\ncrossover_points = 30"),
            "x.toml:10: 'search.crossover_points' is 30, but a genome of 6 LIVs has 29 places between its genes");
  EXPECT_NO_THROW(parse(language, "x.toml", {"search.crossover_points=30", "search.paths=true"}));
  EXPECT_NO_THROW(parse(language, "x.toml", {"search.crossover_points=41", "search.paths=true", "search.routes=true"}));
  EXPECT_NO_THROW(parse(language, "x.toml", {"search.crossover_points=239", "search.segments=['backbone', 'operator', 'featurizer']"}));
  EXPECT_EQ(complaint_about("[search]\nsegments = [\"operator\", \"featurizer\"]"),
            "x.toml:10: 'search.segments' is [\"operator\", \"featurizer\"], expected \"backbone\" in it: operators and featurizers evolve "
            "besides it");
  EXPECT_THAT(complaint(language, {"search.segments=['backbone', 'operators']"}), HasSubstr("did you mean 'operator'?"));
  EXPECT_THAT(complaint(language, {"budget.evaluations=16"}), HasSubstr("nothing would ever be bred"));
  EXPECT_NO_THROW(parse(language, "x.toml", {"budget.evaluations=1", "search.algorithm=random"}));
}

TEST(Rules, RefuseTokensThatDoNotFitTheirSource) {
  const std::vector<std::string> shards{"task.files=['a.bin']"};
  const auto with = [&](const std::string& override) { return std::vector<std::string>{shards[0], override}; };
  EXPECT_NO_THROW(parse(language, "x.toml", shards));
  EXPECT_EQ(complaint(language, {"task.files=['a.bin', 'b.txt']"}),
            "command line: 'task.files' names token shards (.bin) and 'b.txt', expected only the ones or the other");
  EXPECT_THAT(complaint(language, with("task.max_bytes=1000")), HasSubstr("'task.max_bytes' caps text"));
  EXPECT_THAT(complaint(language, {"task.tokenizer=none"}), HasSubstr("'task.tokenizer' is \"none\", but 'task.files' names text"));
  EXPECT_THAT(complaint(language, {"task.tokenizer=gpt2"}), HasSubstr("'task.tokenizer' is \"gpt2\", expected \"bytes\""));
  EXPECT_EQ(complaint(language, {"task.vocabulary=256"}),
            "command line: 'task.vocabulary' is 256, expected at least 257: the bytes and the separator");
  EXPECT_THAT(complaint(language, {"task.separator=0"}), HasSubstr("'task.separator' is 0, but that of bytes is 256"));
  EXPECT_THAT(complaint(language, {shards[0], "task.separator=50", "task.vocabulary=50"}),
              HasSubstr("'task.separator' is 50, expected a token below task.vocabulary = 50"));
}

TEST(Rules, RefuseARecallTaskWithoutPairs) {
  EXPECT_EQ(complaint(mad, {"task.noise=0.1"}),
            "command line: 'task.noise' belongs to the MAD task 'noisy-recall', the task here is 'in-context-recall'");
  EXPECT_THAT(complaint(mad, {"task.name=noisy-recall", "task.vocabulary=17"}),
              HasSubstr("expected noise_vocabulary = 16 and an even number"));
  EXPECT_THAT(complaint(mad, {"task.name=selective-copying", "task.copied=99"}), HasSubstr("expected at least 199"));
  EXPECT_THAT(complaint(mad, {"task.vocabulary=15"}), HasSubstr("'task.vocabulary' is 15, expected an even number"));
  EXPECT_THAT(complaint(mad, {"task.sequence_length=127", "training.batch_tokens=127"}), HasSubstr("'task.sequence_length' is 127"));
}

TEST(Rules, AreNotAppliedToValuesThatWereRefused) {
  EXPECT_EQ(complaint_about("batch_tokens = 'x'\n"),
            "x.toml:9: 'training.batch_tokens' is the string \"x\", expected an integer (2 … 1000000000)");
}

TEST(Findings, AreAllToldInTheOrderOfTheFile) {
  EXPECT_EQ(complaint("sed = 3\nname = 5\n" + without(language, "[training]\ntokens = 100_000\n"), {"workers=0"}),
            "x.toml:1: unknown key 'sed' (did you mean 'seed'?)\n"
            "x.toml:2: 'name' is the integer 5, expected a string (1 to 64 letters, digits, '.', '_' or '-' that do not "
            "start with '.' or '-')\n"
            "x.toml: 'training.tokens' is missing, expected in section [training]: tokens = integer (1 … 1000000000000000). "
            "Tokens, or rows of a series, that a candidate is trained on; whole batches, so the last may go beyond.\n"
            "command line: 'workers' is 0, expected an integer (1 … 1024)");
}

TEST(Findings, EndAfterTwenty) {
  std::string text = language;
  for (int i = 0; i < 50; ++i) text += "unknown_" + std::to_string(i) + " = 1\n";
  const auto message = complaint(text);
  EXPECT_EQ(std::ranges::count(message, '\n'), 20);
  EXPECT_THAT(message, HasSubstr("\nx.toml: and 30 more"));
}

TEST(Broken, TomlIsToldWithItsLine) {
  EXPECT_THAT(complaint("a = 1\nb = = 2\n"), StartsWith("x.toml:2: not TOML: "));
  EXPECT_THAT(complaint(language + "tokens = 5\n"), AllOf(StartsWith("x.toml:9: not TOML: "), HasSubstr("redefine")));
  EXPECT_THAT(complaint(std::string("\xff\xfe\x00\x01", 4)), StartsWith("x.toml:1: not TOML: "));
  EXPECT_THAT(complaint("\n\n[budget"), StartsWith("x.toml:3: not TOML: "));
}

TEST(Broken, InputNeverCrashesWhateverItsBytes) {
  Stream stream(1, Purpose::test, 7);
  for (int i = 0; i < 3000; ++i) {
    auto text = language;
    for (auto n = 1 + stream.below(8); n > 0; --n) {
      const auto at = stream.below(text.size());
      if (stream.chance(0.5)) {
        text[at] = static_cast<char>(stream.below(256));
      } else {
        text.insert(at, 1, "[]{}.=\"'\n,#0e-"[stream.below(14)]);
      }
    }
    try {
      parse(text, "x.toml");
    } catch (const UserError& error) {
      ASSERT_THAT(error.what(), StartsWith("x.toml:"));
    }
  }
}

TEST(Broken, DeepNestingIsRefused) {
  std::string keys;
  for (int i = 0; i < 200'000; ++i) keys += "a.";
  EXPECT_THAT(complaint(keys + "a = 1\n"), StartsWith("x.toml:1: "));
  EXPECT_THAT(complaint("a = " + std::string(100'000, '[') + "\n"), StartsWith("x.toml:1: "));
  EXPECT_THAT(complaint(language, {"task.files=" + keys}), StartsWith("command line: "));
  std::string nested;
  for (int i = 0; i < 900; ++i) nested += "a.";
  EXPECT_THAT(complaint(nested + "a = 1\n"), StartsWith("x.toml:1: unknown key"));
}

/// What is said of one [[class]] row whose lines begin at 10.
std::string complaint_about_row(const std::string& lines) { return complaint(language + "[[class]]\n" + lines); }

TEST(ClassRows, AreRefusedWithLineAndReason) {
  const std::string named = "id = 101\nname = 'X'\n";
  const std::pair<std::string, std::string> cases[] = {
      {named + "operator = [7, 3, 1, 2, 1]", "x.toml:9: [[class]] 'X': nonlinearity 2 (softmax) needs token mixing 2, found 3 (Toeplitz)"},
      {named + "operator = [1, 9, 1, 2, 1]", "x.toml:9: [[class]] 'X': token mixing 9 is not in 1 … 4"},
      {named + "operator = [9, 2, 1, 2, 3]",
       "x.toml:9: [[class]] 'X': the feature group 'q' is missing: token mixing 2 (low rank) uses the groups q, k, v"},
      {"id = 8\nname = 'X'\noperator = [1, 2, 2, 2, 3]", "x.toml:9: [[class]] 'X': id 8 is that of GMemless, expected one of its own"},
      {"id = 0\nname = 'X'\noperator = [1, 2, 2, 2, 3]", "x.toml:9: [[class]] 'X': id 0 is not in 1 … 32767"},
      {"id = 101\nname = 'SA-1'\noperator = [1, 2, 2, 2, 3]", "x.toml:9: [[class]] 'SA-1': there is a class of that name already"},
      {named + "operator = [1, 2, 2, 2, 3]\ngroups = [{name = 'q'}]",
       "x.toml:9: [[class]] 'X': featurizer 1 cannot be defined here, expected a first integer of operator that no featurizer has"},
      {named + "operator = [99, 2, 2, 2, 3]\ngroups = [{name = 'q'}, {name = 'k', expansion = '1/8', repeat = 8}, {name = 'v'}]",
       "x.toml:9: [[class]] 'X': the feature group 'k' is repeated 8 times, but there are 4 heads at width 96"},
      {named + "operator = [1, 2, 2, 2]", "x.toml:12: [[class]] 'X': 'operator' is a list, expected a list of integers (five integers)"},
      {named + "operator = [1, 2, 2, 2, 'x']", "x.toml:12: [[class]] 'X': 'operator' holds the string \"x\", expected five integers"},
      {"name = 'X'\noperator = [1, 2, 2, 2, 3]", "x.toml:9: [[class]] 'X': 'id' is missing, expected id = integer (1 … 32767)"},
      {named + "operator = [1, 2, 2, 2, 3]\ndifferental = true",
       "x.toml:13: [[class]] 'X': unknown key 'differental' (did you mean 'differential'?)"},
      {"id = 101\nname = 'a b'\noperator = [1, 2, 2, 2, 3]",
       "x.toml:11: [[class]] 'a b': 'name' is the string \"a b\", expected a string (1 to 32 letters, digits, '.', '_' or '-')"},
      {named + "operator = [99, 2, 2, 2, 3]\ngroups = [{name = 'q', expansion = '1/x'}]",
       "x.toml:13: [[class]] 'X', group 'q': 'expansion' is the string \"1/x\", expected an integer or string (2, \"1/4\" or \"16 per "
       "token\")"},
      {named + "operator = [99, 2, 2, 2, 3]\ngroups = [{name = 'q', parametrisation = 'learned'}]",
       "x.toml:13: [[class]] 'X', group 'q': 'parametrisation' is the string \"learned\", expected a string (input | direct | selective | "
       "decay | implicit | liquid)"},
      {named + "operator = [99, 2, 2, 2, 3]\ngroups = [3]",
       "x.toml:13: [[class]] 'X': 'groups' holds the integer 3, expected groups such as {name = \"q\"}"},
  };
  for (const auto& [lines, expected] : cases) EXPECT_EQ(complaint_about_row(lines), expected);
  EXPECT_THAT(complaint_about_row(named + "operator = [99, 2, 2, 2, 3]"),
              HasSubstr("there is no featurizer 99, expected one of the catalogue (1, 2"));
  EXPECT_EQ(complaint("class = 3\n" + language), "x.toml:1: 'class' is the integer 3, expected rows that begin with [[class]]");
  EXPECT_THAT(complaint(with_classes + "[[class]]\nid = 101\nname = 'Y'\noperator = [101, 2, 1, 2, 3]\n"),
              HasSubstr("id 101 is that of Local"));
}

}  // namespace
}  // namespace starling::experiment
