#include <gmock/gmock.h>

#include "examples.hpp"

namespace starling::experiment {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Overrides, AreTomlOrABareWord) {
  const auto e = parse(language, "x.toml",
                       {"name=other", "seed = 3", "training.learning_rate=3e-4", "task.files=[\"a=b\"]", "search.algorithm=\"random\"",
                        "search.baselines=[]", "search.require_mixer_and_map=false", "training.tokens=50_000"});
  EXPECT_EQ(e.name, "other");
  EXPECT_EQ(e.training.learning_rate, 3e-4);
  EXPECT_EQ(e.task.files, std::vector<std::string>{"a=b"});
  EXPECT_EQ(e.search.algorithm, "random");
  EXPECT_TRUE(e.search.baselines.empty());
  EXPECT_FALSE(e.search.require_mixer_and_map);
  EXPECT_EQ(e.training.tokens, 50'000);
}

TEST(Overrides, MayHaveBlanksAroundTheValue) {
  const auto e = parse(language, "x.toml", {"name = other \t", "search.algorithm =  random", "workers =\t3"});
  EXPECT_EQ(e.name, "other");
  EXPECT_EQ(e.search.algorithm, "random");
  EXPECT_EQ(e.workers, 3);
  EXPECT_EQ(parse(language, "x.toml", {"task.text_key = ' a '"}).task.text_key, " a ");
}

TEST(Overrides, TheLastOneWins) { EXPECT_EQ(parse(language, "x.toml", {"workers=2", "workers=5"}).workers, 5); }

TEST(Overrides, MendWhatTheFileHasWrongOnlyWhereItIsLegalToml) {
  // A wrong value in the file stays an error: the file would be wrong again without the override.
  EXPECT_THAT(complaint(language + "batch_tokens = 'x'\n", {"training.batch_tokens=512"}), StartsWith("x.toml:9: "));
}

TEST(Overrides, ThatAreWrongNameTheCommandLine) {
  EXPECT_EQ(complaint(language, {"serch.population=3"}),
            "command line: unknown key 'serch.population' (did you mean 'search.population'?)");
  EXPECT_EQ(complaint(language, {"train.learning_rate=3e-4"}),
            "command line: unknown key 'train.learning_rate' (did you mean 'training.learning_rate'?)");
  EXPECT_EQ(complaint(language, {"workers"}), "command line: 'workers' is no override, expected key=value, such as search.population=32");
  EXPECT_EQ(complaint(language, {"=3"}), "command line: '=3' is no override, expected key=value, such as search.population=32");
  EXPECT_EQ(complaint(language, {"workers="}), "command line: 'workers' is the string \"\", expected an integer (1 … 1024)");
  EXPECT_EQ(complaint(language, {"workers=two"}), "command line: 'workers' is the string \"two\", expected an integer (1 … 1024)");
  EXPECT_EQ(complaint(language, {"workers=0"}), "command line: 'workers' is 0, expected an integer (1 … 1024)");
  EXPECT_EQ(complaint(language, {"task.files=[\"a"}),
            "command line: 'task.files=[\"a' is not a value of TOML, expected a list of strings (a path or glob)");
  EXPECT_EQ(complaint(language, {"task.files=a"}),
            "command line: 'task.files' is the string \"a\", expected a list of strings (a path or glob); write [\"a\"]");
  EXPECT_EQ(complaint(language, {"search=3"}), "command line: unknown key 'search'");
  EXPECT_THAT(complaint(language, {"model.width=100"}), StartsWith("command line: 'model.width' is 100: "));
}

TEST(Overrides, CannotSmuggleInASecondKey) {
  EXPECT_THAT(complaint(language, {"workers=2\nseed = 5"}), StartsWith("command line: 'workers' is the string"));
  EXPECT_THAT(complaint(language, {"workers=2\n[budget]\nevaluations = 5"}), StartsWith("command line: 'workers' is the string"));
}

TEST(Overrides, ThatAreNotUtf8AreRefused) {
  EXPECT_THAT(complaint(language, {"task.files=[\"\xff\"]"}), HasSubstr("is not a value of TOML"));
  EXPECT_THAT(complaint(language, {"name=\xff"}), HasSubstr("is not a value of TOML"));
}

}  // namespace
}  // namespace starling::experiment
