// `starling show` and `starling front` on journals written here.
#include <gmock/gmock.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>
#include <starling/genome/genome.hpp>
#include <starling/run/journal.hpp>

#include <support/temporary_folder.hpp>

#include "commands.hpp"

namespace starling::tools {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Show : public ::testing::Test {
 protected:
  template <class Work>
  std::string printed(Work work, int expected_code = exit_code::done) {
    testing::internal::CaptureStdout();
    const int code = work();
    std::fflush(stdout);
    auto text = testing::internal::GetCapturedStdout();
    EXPECT_EQ(code, expected_code);
    return text;
  }
  std::string show_text(std::optional<std::uint64_t> id = {}) {
    return printed([&] { return show({directory_, id, false}); });
  }
  json show_json(std::optional<std::uint64_t> id = {}) {
    return json::parse(printed([&] { return show({directory_, id, true}); }));
  }
  std::string front_text(int code = exit_code::done) {
    return printed([&] { return front({directory_, false}); }, code);
  }
  json front_json(int code = exit_code::done) {
    return json::parse(printed([&] { return front({directory_, true}); }, code));
  }

  static run::RunStarted started() {
    run::RunStarted record;
    record.run_uuid = "11111111-2222-3333-4444-555555555555";
    record.time_utc = "2026-01-01T00:00:00.000Z";
    record.experiment_toml = "name = \"tiny\"\n";
    record.command_line = "starling run tiny.toml";
    record.starling_version = "0.1.0";
    record.git_commit = "abc";
    record.host = "here";
    record.seed = 5;
    record.objectives = {{"quality", "obj_quality", "nats per token"}, {"cache", "obj_cache", "bytes"}};
    record.catalogue = "liquid";
    return record;
  }
  static run::CandidateAccepted candidate(std::uint64_t id, const std::string& genome, std::vector<std::uint64_t> parents = {}) {
    run::CandidateAccepted record;
    record.candidate.id = id;
    record.candidate.genome = genome::parse_genome(genome);
    record.candidate.origin = parents.empty() ? search::Origin::random : search::Origin::crossover;
    record.candidate.parents = std::move(parents);
    record.candidate.hash = 0xabc0 + id;
    record.parameters = 1000;
    record.time_utc = "2026-01-01T00:00:01.000Z";
    return record;
  }
  static run::CandidateAccepted baseline(std::uint64_t id, const std::string& name, const std::string& genome) {
    auto record = candidate(id, genome);
    record.candidate.origin = search::Origin::baseline;
    record.candidate.name = name;
    return record;
  }
  static run::EvaluationRecorded result(std::uint64_t id, double loss, double cache) {
    run::EvaluationRecorded record;
    record.outcome = {id, search::Status::ok, {loss, cache}};
    record.worker = "w0";
    record.steps = 20;
    record.tokens = 5120;
    record.duration_s = 2.5;
    record.loss = loss;
    record.bits_per_byte = loss / 0.6931471805599453;
    record.parameters = 123456;
    record.cache_bytes = static_cast<std::int64_t>(cache);
    for (std::int64_t step = 1; step <= 20; ++step) {
      run::CurvePoint point;
      point.step = step;
      point.tokens = step * 256;
      point.train_loss = 5.0 - 0.1 * static_cast<double>(step);
      record.curve.push_back(point);
    }
    record.checkpoint.path = "checkpoints/0000000" + std::to_string(id) + ".h5";
    return record;
  }
  static run::EvaluationRecorded failure(std::uint64_t id, search::Status status, const std::string& reason) {
    run::EvaluationRecorded record;
    record.outcome = {id, status, {}};
    record.reason = reason;
    record.worker = "w1";
    return record;
  }

  void write(const std::vector<run::Record>& records) {
    auto journal = run::Journal::create(directory_ / "journal");
    for (const auto& record : records) journal.append(record);
    journal.sync();
  }

  /// Two baselines (one diverged), a front of 4 and 6, 5 dominated, 7 diverged, 8 pending after a lost attempt.
  void write_run(bool ended = true) {
    std::vector<run::Record> records{
        started(),
        run::WorkerJoined{"w0", "here", "cpu", 77, "2026-01-01T00:00:00.500Z"},
        run::ReferenceLoss{"unigram", 3.5, 5.05},
        baseline(1, "transformer++", "11111-81111"),
        baseline(2, "striped-mamba", "41111-81111"),
        candidate(4, "31111-81111"),
        candidate(5, "61111-81111"),
        candidate(6, "61111-81111-61111", {4, 5}),
        candidate(7, "41111-81111"),
        candidate(8, "11111-11111", {4}),
        result(1, 2.5, 4000),
        failure(2, search::Status::diverged, "loss is not finite at step 3"),
        result(4, 2.0, 3000),
        result(5, 3.0, 1000),
        result(6, 2.75, 500),
        failure(7, search::Status::diverged, "too hot"),
        run::AttemptLost{8, 1, "w1", "worker lost", "2026-01-01T00:00:09.000Z"},
    };
    if (ended) records.push_back(run::RunEnded{"budget", "2026-01-01T00:01:00.000Z", 60, 114, 120, true});
    write(records);
  }

  const TemporaryFolder folder_;
  const std::filesystem::path directory_ = folder_.path();
};

TEST_F(Show, SummarisesARun) {
  write_run();
  const auto text = show_text();
  EXPECT_THAT(text, HasSubstr("status      complete (budget) 2026-01-01T00:01:00.000Z after 1 min 0 s\n"));
  EXPECT_THAT(text, HasSubstr("candidates  1 diverged, 3 ok, 1 pending\n"));
  EXPECT_THAT(text, HasSubstr("quality     best 2 nats per token by candidate 4\n"));
  EXPECT_THAT(text, HasSubstr("cache       best 500 bytes by candidate 6\n"));
  EXPECT_THAT(text, HasSubstr("front       candidates 4 6\n"));
  EXPECT_THAT(text, HasSubstr("baseline    transformer++ (candidate 1): quality 2.5, cache 4000\n"));
  EXPECT_THAT(text, HasSubstr("baseline    striped-mamba (candidate 2): diverged, loss is not finite at step 3\n"));
  EXPECT_THAT(text, HasSubstr("reference   unigram: loss 3.5000 nats per token, 5.0500 bits per byte\n"));
  EXPECT_THAT(text, HasSubstr("occupancy   95.0 %\n"));
  EXPECT_THAT(text, HasSubstr("lost        1 attempts\n"));
}

TEST_F(Show, OfASeriesTellsSquaredErrorsAndNoPerplexity) {
  auto start = started();
  start.experiment_toml = "[task]\nkind = \"series\"\n";
  start.objectives[0].unit = "mean squared error of normalised columns";
  auto ok = result(1, 0.0125, 3000);
  ok.bits_per_byte = run::none;
  run::TestRecorded test;
  test.candidate_id = 1;
  test.loss = 0.02;
  write({start, run::ReferenceLoss{"last value", 0.25, run::none}, candidate(1, "31111-81111"), ok, test});
  EXPECT_EQ(front_text(),
            "candidate       MSE  on test  parameters  cache bytes  genome\n"
            "──────────────────────────────────────────────────────────────────\n"
            "1           0.01250  0.02000     123,456        3,000  31111-81111\n"
            "──────────────────────────────────────────────────────────────────\n"
            "last value  0.25000        –           –            –\n"
            "\n"
            "1        ─A3──M8─\n"
            "A3 SA-3 · M8 GMemless\n");
  EXPECT_THAT(show_text(), HasSubstr("reference   last value: MSE 0.25000\n"));
  EXPECT_THAT(show_text(), HasSubstr("quality     best 0.0125 mean squared error of normalised columns by candidate 1\n"));
  EXPECT_THAT(show_text(1), HasSubstr("measures    MSE 0.01250\non test     MSE 0.02000\n"));
  const auto shown = show_json(1);
  EXPECT_EQ(shown["loss"], 0.0125);
  EXPECT_EQ(shown["test_loss"], 0.02);
  for (const auto* const none : {"perplexity", "test_perplexity", "bits_per_byte", "accuracy"}) EXPECT_TRUE(shown[none].is_null()) << none;
  EXPECT_TRUE(front_json()["references"][0]["perplexity"].is_null());
}

TEST_F(Show, SummarisesARunAsJson) {
  write_run();
  const auto data = show_json();
  EXPECT_EQ(data["run_uuid"], "11111111-2222-3333-4444-555555555555");
  EXPECT_EQ(data["candidates"], (json{{"ok", 3}, {"diverged", 1}, {"pending", 1}}));
  EXPECT_EQ(data["objectives"][1]["best"], (json{{"value", 500.0}, {"candidate", 6}}));
  EXPECT_EQ(data["front"], (json{4, 6}));
  EXPECT_EQ(data["baselines"], (json{1, 2}));
  EXPECT_EQ(data["occupancy"], 0.95);
  EXPECT_EQ(data["ended"]["reason"], "budget");
  EXPECT_EQ(data["experiment_toml"], "name = \"tiny\"\n");
}

TEST_F(Show, TellsThatARunHasNoEndYet) {
  write_run(false);
  EXPECT_THAT(show_text(), AllOf(HasSubstr("no end is recorded"), Not(HasSubstr("occupancy"))));
  EXPECT_TRUE(show_json()["ended"].is_null());
}

TEST_F(Show, TellsOneCandidateInDetail) {
  write_run();
  const auto text = show_text(6);
  EXPECT_THAT(text, HasSubstr("genome      61111-81111-61111\n"));
  EXPECT_THAT(text, HasSubstr("strip       CMC "));
  EXPECT_THAT(text, HasSubstr("parents     4 5\n"));
  EXPECT_THAT(text, HasSubstr("children    none\n"));
  EXPECT_THAT(text, HasSubstr("status      ok, attempt 1 on w0, 2.5 s"));
  EXPECT_THAT(text, HasSubstr("curve, 10 of 20 points\n"));
  EXPECT_THAT(text, HasSubstr("checkpoint  checkpoints/00000006.h5\n"));
  EXPECT_THAT(show_text(4), HasSubstr("children    6 8\n"));
  EXPECT_THAT(show_text(1), HasSubstr("candidate   1, transformer++\n"));
  EXPECT_THAT(show_text(7), HasSubstr("status      diverged: too hot"));
}

TEST_F(Show, TellsTheLostAttemptsOfACandidateWithoutAResult) {
  write_run();
  EXPECT_THAT(show_text(8),
              AllOf(HasSubstr("lost        attempt 1 on w1 at 2026-01-01T00:00:09.000Z: worker lost\n"), HasSubstr("no result yet")));
  const auto data = show_json(8);
  EXPECT_TRUE(data["status"].is_null());
  EXPECT_EQ(data["lost_attempts"].size(), 1u);
}

TEST_F(Show, GivesTheWholeCurveAsJson) {
  write_run();
  const auto data = show_json(4);
  ASSERT_EQ(data["curve"].size(), 20u);
  EXPECT_EQ(data["curve"][19]["step"], 20);
  EXPECT_TRUE(data["curve"][0]["val_loss"].is_null());
  EXPECT_EQ(data["objectives"], (json{{"quality", 2.0}, {"cache", 3000.0}}));
  EXPECT_TRUE(data["accuracy"].is_null());
}

TEST_F(Show, RefusesACandidateThatThereIsNot) {
  write_run();
  EXPECT_THROW(
      {
        try {
          show({directory_, 99, false});
        } catch (const UserError& error) {
          EXPECT_THAT(error.what(), HasSubstr("there is no candidate 99, expected 1 … 8"));
          throw;
        }
      },
      UserError);
}

TEST_F(Show, PrintsTheFrontBesideBaselinesAndReferences) {
  write_run();
  EXPECT_EQ(front_text(),
            "candidate      perplexity  bits/byte  parameters  cache bytes  genome\n"
            "────────────────────────────────────────────────────────────────────────────────\n"
            "4                   7.389     2.8854     123,456        3,000  31111-81111\n"
            "6                  15.643     3.9674     123,456          500  61111-81111-61111\n"
            "────────────────────────────────────────────────────────────────────────────────\n"
            "transformer++      12.182     3.6067     123,456        4,000  11111-81111\n"
            "striped-mamba           –          –       1,000            –  (diverged: loss is not finite at step 3)\n"
            "────────────────────────────────────────────────────────────────────────────────\n"
            "unigram            33.115     5.0500           –            –\n"
            "\n"
            "4        ─A3──M8─\n"
            "6        ─C6──M8──C6─\n"
            "A3 SA-3 · M8 GMemless · C6 GConv-1\n");
}

TEST_F(Show, PrintsTheFrontAsJson) {
  write_run();
  const auto data = front_json();
  ASSERT_EQ(data["front"].size(), 2u);
  EXPECT_EQ(data["front"][0]["genome"], "31111-81111");
  EXPECT_EQ(data["front"][1]["parents"], (json{4, 5}));
  EXPECT_EQ(data["baselines"][1]["status"], "diverged");
  EXPECT_TRUE(data["baselines"][1]["loss"].is_null());
  EXPECT_EQ(data["references"][0]["name"], "unigram");
  EXPECT_EQ(data["objectives"][0]["name"], "quality");
}

TEST_F(Show, HasAColumnForAccuracyWhereTheTaskHasOne) {
  auto record = result(4, 1.0, 100);
  record.bits_per_byte = run::none;
  record.accuracy = 0.875;
  write({started(), candidate(4, "31111-81111"), record});
  EXPECT_THAT(front_text(), AllOf(HasSubstr("accuracy"), HasSubstr("0.8750"), Not(HasSubstr("bits/byte"))));
}

TEST_F(Show, EndsWithoutAResultWhereNoneIsValid) {
  write({started(), candidate(4, "31111-81111"), failure(4, search::Status::killed, "3 attempts lost")});
  EXPECT_THAT(front_text(exit_code::no_valid_result), HasSubstr("No candidate has a result yet."));
  EXPECT_TRUE(front_json(exit_code::no_valid_result)["front"].empty());
  EXPECT_THAT(show_text(), HasSubstr("front       empty"));
}

/// Candidates 4 and 6 and a baseline on twice the tokens: the order of 4 and 6 turns round; 5 diverges.
TEST_F(Show, SetsLongerTrainingsBesideThoseOfTheSearch) {
  write_run();
  {
    auto journal = run::Journal::open(directory_ / "journal").journal;
    journal.append(run::ExtensionStarted{"2026-01-02T00:00:00.000Z", "starling retrain", "0.1.0", "abc", "here"});
    const auto longer = [](std::uint64_t id, double loss) {
      auto evaluation = result(id, loss, 1);
      evaluation.tokens = 10'240;
      return run::RetrainingRecorded{10'240, evaluation};
    };
    journal.append(longer(6, 1.5));
    journal.append(longer(4, 1.75));
    journal.append(longer(1, 1.875));
    journal.append(run::RetrainingRecorded{10'240, failure(5, search::Status::diverged, "too hot")});
    run::TestRecorded test;
    test.candidate_id = 6;
    test.loss = 1.625;
    test.asked_tokens = 10'240;
    journal.append(test);
    journal.append(run::ExtensionEnded{"done", "2026-01-02T00:01:00.000Z", 60, 50, 120, true});
    journal.sync();
  }
  const auto data = show_json();
  ASSERT_EQ(data["retrained"].size(), 1u);
  EXPECT_EQ(data["retrained"][0]["candidates"], 4);
  EXPECT_EQ(data["retrained"][0]["compared"], 3) << "one diverged";
  // 4, 1, 6 in the search, 6, 4, 1 after it: of three pairs (4, 6) and (1, 6) have turned round.
  EXPECT_DOUBLE_EQ(data["retrained"][0]["kendall_tau"], -1.0 / 3);
  EXPECT_EQ(data["extensions"][0]["ended"]["reason"], "done");
  EXPECT_EQ(data["ended"]["reason"], "budget");
  EXPECT_THAT(show_text(), AllOf(HasSubstr("extended    2026-01-02T00:00:00.000Z by 'starling retrain': done after 1 min 0 s"),
                                 HasSubstr("retrained   4 candidates on 10,240 tokens, Kendall τ -0.33")));
  EXPECT_THAT(show_text(6), HasSubstr("retrained   10,240 tokens, ok: loss 1.5000"));
  EXPECT_THAT(show_text(5), HasSubstr("diverged: too hot"));
  const auto six = show_json(6);
  EXPECT_EQ(six["loss"], 2.75) << "the search's own result stays what it is";
  EXPECT_EQ(six["retrainings"][0]["loss"], 1.5);
  EXPECT_EQ(six["retrainings"][0]["test_loss"], 1.625);
}

}  // namespace
}  // namespace starling::tools
