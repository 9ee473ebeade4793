// What is added to a run: the errands with a recorder, on CAF's deterministic scheduler; the whole engine over a journal that exists.
#include "protocol_fixture.hpp"

#include <starling/actors/engine.hpp>
#include <starling/actors/errands.hpp>
#include <starling/actors/role_count.hpp>
#include <starling/run/summary.hpp>

namespace starling::actors {
namespace {

using search::Status;
using ::testing::ElementsAre;

Job job(std::uint64_t id, std::int64_t tokens = 0) {
  Job job;
  job.id = id;
  job.tokens = tokens;
  job.training_seed = 7;
  job.genome = genome::parse_genome("11111-81111");
  return job;
}

class ErrandsProtocol : public Protocol {
 protected:
  void start_errands(ErrandSettings settings, EarlierEntries earlier = nullptr) {
    control_ = system_.spawn(played_control, told_);
    journal_ = std::make_shared<run::Journal>(run::Journal::create(directory_.path() / "journal"));
    recorder_ = system_.spawn(recorder, journal_, directory_.path(), control_, std::move(earlier));
    population_ = system_.spawn(errands, std::move(settings), ErrandWiring{recorder_, control_});
    caf::anon_send(population_, begin_atom_v);
    run();
  }

  void finish_retraining(const Worker& worker, const Job& job, std::string checkpoint = {}, Status status = Status::ok) {
    RetrainingMessage message;
    message.record.asked_tokens = job.tokens;
    message.record.evaluation.outcome = {.id = job.id, .status = status, .objectives = {}};
    message.record.evaluation.attempt = job.attempt;
    message.record.evaluation.checkpoint.path = std::move(checkpoint);
    caf::anon_send(recorder_, evaluation_atom_v, message);
    run();
    demand(worker);
  }

  void finish_test(const Worker& worker, const Job& job) {
    TestMessage message;
    message.record.candidate_id = job.id;
    message.record.asked_tokens = job.tokens;
    caf::anon_send(recorder_, evaluation_atom_v, message);
    run();
    demand(worker);
  }

  void lose(const Worker& worker, const Job& job, const std::string& why = "worker lost") {
    begin_job(worker, job);
    caf::anon_send(population_, lost_atom_v, worker.name, job.id, job.attempt, why);
    run();
    demand(worker);
  }
};

TEST_F(ErrandsProtocol, TrainsEachTestsWhatWasKeptAndIsDone) {
  start_errands({.jobs = {job(3), job(5, 4000)}, .test = true});
  auto& a = add_worker("w0", 1);
  EXPECT_EQ(a.job(0).id, 3u);
  EXPECT_EQ(a.job(0).tokens, 0);
  finish_job(a, a.job(0), {1, 1}, Status::ok, "checkpoints/3");
  EXPECT_EQ(a.job(1).id, 3u);
  EXPECT_EQ(a.job(1).test_of, "checkpoints/3");
  finish_test(a, a.job(1));
  EXPECT_EQ(a.job(2).id, 5u);
  EXPECT_EQ(a.job(2).tokens, 4000);
  EXPECT_EQ(a.job(2).training_seed, 7u);
  finish_retraining(a, a.job(2), "checkpoints/5-4000");
  EXPECT_EQ(a.job(3).test_of, "checkpoints/5-4000");
  EXPECT_TRUE(told_->finished.empty());
  finish_test(a, a.job(3));
  EXPECT_THAT(told_->finished, ElementsAre("done"));
  EXPECT_EQ(journalled<run::RetrainingRecorded>().size(), 1u);
  EXPECT_EQ(journalled<run::TestRecorded>().size(), 2u);
}

TEST_F(ErrandsProtocol, TheDeadlineOfATrainingIsNotThatOfItsTest) {
  start_errands({.jobs = {job(3)}, .least_deadline = std::chrono::minutes(1), .test = true});
  auto& a = add_worker("w0", 1);
  begin_job(a, a.job(0));
  scheduler().advance_time(std::chrono::seconds(40));
  run();
  finish_job(a, a.job(0), {1, 1}, Status::ok, "checkpoints/3");
  ASSERT_EQ(a.job(1).test_of, "checkpoints/3");
  ASSERT_EQ(a.job(1).attempt, a.job(0).attempt);
  begin_job(a, a.job(1));
  scheduler().advance_time(std::chrono::seconds(40));
  run();
  EXPECT_TRUE(journalled<run::AttemptLost>().empty());
  scheduler().advance_time(std::chrono::seconds(30));
  run();
  EXPECT_EQ(journalled<run::AttemptLost>().size(), 1u) << "its own";
}

TEST_F(ErrandsProtocol, TestsNothingWhereNothingWasKeptOrNoTestIsWanted) {
  start_errands({.jobs = {job(3), job(5, 4000)}, .test = true});
  auto& a = add_worker("w0", 1);
  finish_job(a, a.job(0), {}, Status::diverged);
  finish_retraining(a, a.job(1));
  EXPECT_THAT(told_->finished, ElementsAre("done"));
  EXPECT_EQ(a.played->leases.size(), 2u);
}

TEST_F(ErrandsProtocol, ATestThatIsAllThatIsMissingIsDoneAlone) {
  auto test = job(5, 4000);
  test.test_of = "checkpoints/5-4000";
  start_errands({.jobs = {test}, .test = true});
  auto& a = add_worker("w0", 1);
  EXPECT_EQ(a.job(0).test_of, "checkpoints/5-4000");
  finish_test(a, a.job(0));
  EXPECT_THAT(told_->finished, ElementsAre("done"));
}

TEST_F(ErrandsProtocol, ATrainingThatLosesAllItsAttemptsIsKilledAndTheOthersGoOn) {
  start_errands({.jobs = {job(3, 4000), job(5, 4000)}, .attempts = 2});
  auto& a = add_worker("w0", 1);
  lose(a, a.job(0));
  EXPECT_EQ(a.job(1).id, 3u) << "those that come back first";
  EXPECT_EQ(a.job(1).attempt, 2u);
  lose(a, a.job(1), "out of memory");
  const auto killed = journalled<run::RetrainingRecorded>();
  ASSERT_EQ(killed.size(), 1u);
  EXPECT_EQ(killed[0].asked_tokens, 4000);
  EXPECT_EQ(killed[0].evaluation.outcome.status, Status::killed);
  EXPECT_EQ(killed[0].evaluation.reason, "out of memory");
  finish_retraining(a, a.job(2));
  EXPECT_THAT(told_->finished, ElementsAre("done"));
}

TEST_F(ErrandsProtocol, TrainingsKilledInARowEndItAndAnyOtherResultBreaksTheRow) {
  start_errands({.jobs = {job(3, 4000), job(4, 4000), job(5, 4000), job(6, 4000), job(7, 4000)}, .attempts = 1, .give_up_after = 2});
  auto& a = add_worker("w0", 1);
  lose(a, a.job(0));
  finish_retraining(a, a.job(1));
  lose(a, a.job(2));
  EXPECT_TRUE(told_->finished.empty());
  lose(a, a.job(3), "No space left on device");
  EXPECT_THAT(told_->finished, ElementsAre("2 trainings in a row could not be done; the last: No space left on device"));
}

TEST_F(ErrandsProtocol, AWorkerThatEndsRightBehindItsResultCostsTheTestNoAttempt) {
  start_errands({.jobs = {job(3)}, .attempts = 1, .test = true});
  auto& a = add_worker("w0", 1);
  const Job training = a.job(0);
  begin_job(a, training);
  finish_job(a, training, {1, 1}, Status::ok, "checkpoints/3");
  ASSERT_EQ(a.job(1).test_of, "checkpoints/3");
  const run::AttemptLost lost{.candidate_id = 3, .attempt = training.attempt, .worker = "w0", .reason = {}, .time_utc = {}};
  caf::anon_send(recorder_, record_atom_v, std::make_shared<const run::Record>(lost));
  run();
  EXPECT_TRUE(told_->finished.empty()) << "the test is out";
  finish_test(a, a.job(1));
  EXPECT_THAT(told_->finished, ElementsAre("done"));
}

TEST(ErrandDeadline, IsFourTimesWhatTheSearchTookAndAsMuchLongerAsItsTokensAre) {
  using std::chrono::milliseconds;
  using std::chrono::minutes;
  const auto deadline = [](const std::vector<Job>& jobs, const std::vector<double>& durations_s) {
    std::vector<run::JournalEntry> earlier;
    for (const double duration : durations_s) {
      run::EvaluationRecorded evaluation;
      evaluation.duration_s = duration;
      earlier.push_back({earlier.size(), evaluation});
    }
    run::EvaluationRecorded killed;
    killed.outcome.status = Status::killed;
    killed.duration_s = 1e9;
    earlier.push_back({earlier.size(), killed});
    return least_deadline_of_errands(minutes(3), 1000, jobs, earlier);
  };
  EXPECT_EQ(deadline({job(3)}, {}), minutes(3)) << "a baseline: the tokens of the search";
  EXPECT_EQ(deadline({job(3, 500)}, {10, 20}), minutes(3));
  EXPECT_EQ(deadline({job(3, 4000), job(4, 8000)}, {10}), minutes(24));
  EXPECT_EQ(deadline({job(3)}, {60, 120}), minutes(6));
  EXPECT_EQ(deadline({job(3, 2000)}, {60, 120}), minutes(12));
  EXPECT_EQ(deadline({job(3, std::int64_t{1} << 62)}, {}), minutes(1'000'000)) << "no overflow";
}

TEST_F(ErrandsProtocol, AResultFromAnExpiredLeaseCountsAndEndsTheNextAttempt) {
  start_errands({.jobs = {job(3, 4000)}, .least_deadline = std::chrono::minutes(1)});
  auto& a = add_worker("w0", 1);
  begin_job(a, a.job(0));
  scheduler().trigger_timeouts();
  run();
  EXPECT_THAT(told_->killed, ElementsAre("w0"));
  auto& b = add_worker("w1", 1);
  begin_job(b, b.job(0));
  EXPECT_EQ(b.job(0).attempt, 2u);
  finish_retraining(a, a.job(0));
  EXPECT_THAT(told_->finished, ElementsAre("done"));
  EXPECT_EQ(b.played->revoked.size(), 1u);
  finish_retraining(b, b.job(0));
  EXPECT_EQ(journalled<run::RetrainingRecorded>().back().evaluation.outcome.status, Status::superseded);
}

TEST_F(ErrandsProtocol, WhatTheJournalHeldBeforeIsSupersededByNothing) {
  auto earlier = std::make_shared<std::vector<run::JournalEntry>>();
  run::EvaluationRecorded first;
  first.outcome.id = 3;
  earlier->push_back({0, first});
  run::TestRecorded test;
  test.candidate_id = 3;
  earlier->push_back({1, test});
  start_errands({.jobs = {job(4)}}, earlier);
  auto& a = add_worker("w0", 1);
  finish_job(a, job(3), {1, 1});
  finish_test(a, job(3));
  ASSERT_EQ(journalled<run::EvaluationRecorded>().size(), 1u);
  EXPECT_EQ(journalled<run::EvaluationRecorded>()[0].outcome.status, Status::superseded);
  EXPECT_TRUE(journalled<run::TestRecorded>().empty());
}

// --- the whole engine

experiment::Experiment tiny() {
  return experiment::parse(
      "name = 'tiny'\nworkers = 2\n[budget]\nevaluations = 9\n[task]\nkind = 'mad'\nname = 'in-context-recall'\nsequence_length = 32\n"
      "[model]\ndepth = 2\nwidth = 64\n[search]\npopulation = 6\n[training]\ntokens = 1024\nbatch_tokens = 32\n",
      "tiny.toml");
}

/// A finished run of one candidate, with its journal open.
Extension open_run(const std::filesystem::path& directory) {
  if (!std::filesystem::exists(directory / "journal")) {
    auto journal = run::Journal::create(directory / "journal");
    run::RunStarted started;
    started.objectives = {{"quality", "obj_quality", ""}, {"cache", "obj_cache", ""}};
    started.population = 6;
    journal.append(started);
    run::CandidateAccepted accepted;
    accepted.candidate.id = 1;
    accepted.candidate.genome = genome::parse_genome("11111-81111");
    journal.append(accepted);
    run::EvaluationRecorded result;
    result.outcome = {.id = 1, .status = Status::ok, .objectives = {2, 3}};
    journal.append(result);
    journal.append(run::RunEnded{.reason = "budget", .time_utc = {}, .complete = true});
    journal.sync();
  }
  auto [journal, content] = run::Journal::open(directory / "journal");
  return {.journal = std::make_shared<run::Journal>(std::move(journal)),
          .earlier = std::make_shared<const std::vector<run::JournalEntry>>(std::move(content.entries)),
          .started = {.time_utc = "now", .command_line = "test", .starling_version = {}, .git_commit = {}, .host = {}},
          .candidates = {},
          .jobs = {}};
}

TEST(Errands, AreAddedToAJournalThatExistsAndToItsTables) {
  TemporaryFolder directory;
  for (const std::int64_t tokens : {4000, 8000}) {
    EngineSetup setup;
    setup.experiment = tiny();
    setup.directory = directory.path();
    setup.extension = open_run(directory.path());
    setup.extension->jobs = {job(1, tokens)};
    if (tokens == 8000) {
      run::CandidateAccepted baseline;
      baseline.candidate.id = 2;
      baseline.candidate.origin = search::Origin::baseline;
      baseline.candidate.genome = genome::parse_genome("11111-81111");
      setup.extension->candidates = {baseline};
      setup.extension->jobs.push_back(job(2));
    }
    setup.evaluate = [](const Job& asked, const std::atomic<bool>&, const std::function<void(const Progress&)>&) {
      run::EvaluationRecorded record;
      record.outcome.objectives = {1, 1};
      record.loss = static_cast<double>(asked.tokens);
      return record;
    };
    Engine engine(std::move(setup));
    std::optional<RunResult> result;
    while (!result) result = engine.wait_for(std::chrono::milliseconds(100));
    EXPECT_EQ(result->reason, "done");
    EXPECT_TRUE(result->complete);
    EXPECT_EQ(result->publish_error, "");
  }
  EXPECT_EQ(RoleCount::alive(), 0u);
  const auto summary = run::summarise(directory.path());
  EXPECT_EQ(summary.ended->reason, "budget");
  EXPECT_EQ(summary.evaluations.size(), 2u);
  EXPECT_EQ(summary.baselines, std::vector<std::uint64_t>{2});
  EXPECT_EQ(summary.retrainings.at({1, 4000}).loss, 4000);
  EXPECT_EQ(summary.retrainings.at({1, 8000}).loss, 8000);
  EXPECT_EQ(summary.extensions.size(), 2u);
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "run.h5"));
}

}  // namespace
}  // namespace starling::actors
