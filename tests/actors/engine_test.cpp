// The whole engine in one process, on threads, with a cheap evaluation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <mutex>
#include <set>

#include <starling/actors/engine.hpp>
#include <starling/actors/role_count.hpp>
#include <starling/base/error.hpp>
#include <starling/experiment/objectives.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/run/summary.hpp>

#include "protocol_fixture.hpp"

namespace starling::actors {
namespace {

experiment::Experiment tiny(std::int64_t evaluations, std::int64_t workers) {
  return experiment::parse("name = 'tiny'\nseed = 3\nworkers = " + std::to_string(workers) +
                               "\n[budget]\nevaluations = " + std::to_string(evaluations) +
                               "\n[task]\nkind = 'mad'\nname = 'in-context-recall'\nsequence_length = 32\n[model]\ndepth = 4\nwidth = 64\n"
                               "[search]\npopulation = 6\n[training]\ntokens = 1024\nbatch_tokens = 32\n",
                           "tiny.toml");
}

/// Two objectives that follow from the genome alone.
run::EvaluationRecorded judge(const Job& job) {
  run::EvaluationRecorded record;
  double quality = 1;
  for (const auto& liv : job.genome.livs) quality += liv.liv_class * 0.125;
  const auto account = genome::account(genome::Catalogue::liquid(), job.genome, {.width = 64, .length = 32, .vocabulary = 16});
  record.outcome.objectives = {quality, static_cast<double>(account.cache.bytes(32))};
  record.loss = quality;
  record.duration_s = 0.001;
  record.started_utc = run::now_utc();
  return record;
}

EngineSetup setup(const std::filesystem::path& directory, std::int64_t evaluations, std::int64_t workers) {
  EngineSetup setup;
  setup.experiment = tiny(evaluations, workers);
  setup.directory = directory;
  setup.started.experiment_toml = experiment::to_toml(setup.experiment);
  setup.started.objectives = experiment::objectives_of(setup.experiment);
  setup.started.population = static_cast<std::uint64_t>(setup.experiment.search.population);
  setup.started.catalogue = setup.experiment.model.catalogue;
  setup.started.seed = setup.experiment.seed;
  setup.evaluate = [](const Job& job, const std::atomic<bool>&, const std::function<void(const Progress&)>&) { return judge(job); };
  return setup;
}

RunResult run_to_the_end(Engine& engine) {
  for (int i = 0; i < 2400; ++i) {
    if (auto result = engine.wait_for(std::chrono::milliseconds(100))) return *result;
  }
  throw std::runtime_error("the engine does not end");
}

TEST(Engine, RunsASearchToItsBudgetAndRecordsAllOfIt) {
  TemporaryFolder directory;
  {
    Engine engine(setup(directory.path(), 40, 3));
    const auto result = run_to_the_end(engine);
    EXPECT_EQ(result.reason, "budget");
    EXPECT_TRUE(result.complete);
    EXPECT_EQ(result.publish_error, "");
  }
  const auto summary = run::summarise(directory.path());
  EXPECT_EQ(summary.evaluations.size(), 42u) << "40 and two baselines";
  EXPECT_EQ(summary.baselines.size(), 2u);
  EXPECT_FALSE(summary.front.empty());
  ASSERT_TRUE(summary.ended);
  EXPECT_TRUE(summary.ended->complete);
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "run.h5"));
  std::set<std::uint64_t> hashes;
  for (const auto& [id, accepted] : summary.candidates) {
    if (accepted.candidate.origin != search::Origin::baseline) hashes.insert(accepted.candidate.hash);
  }
  EXPECT_EQ(hashes.size(), 40u) << "no genome is evaluated twice";
}

TEST(Engine, LeavesNoActorBehind) {
  for (const bool interrupted : {false, true}) {
    TemporaryFolder directory;
    {
      Engine engine(setup(directory.path(), 20, 2));
      if (interrupted) engine.stop();
      run_to_the_end(engine);
    }
    EXPECT_EQ(RoleCount::alive(), 0u) << "interrupted: " << interrupted;
  }
}

TEST(Engine, TriesAgainWhatAnEvaluationInItsOwnProcessThrewOver) {
  TemporaryFolder directory;
  auto shaky = setup(directory.path(), 12, 1);
  std::mutex mutex;
  std::set<std::uint64_t> failed;
  shaky.evaluate = [&](const Job& job, const std::atomic<bool>&, const std::function<void(const Progress&)>&) {
    const std::lock_guard lock(mutex);
    if (failed.insert(job.id).second) throw std::runtime_error("once for each");
    return judge(job);
  };
  Engine engine(std::move(shaky));
  EXPECT_EQ(run_to_the_end(engine).reason, "budget");
  const auto summary = run::summarise(directory.path());
  EXPECT_EQ(summary.evaluations.size(), 14u);
  for (const auto& [id, evaluation] : summary.evaluations) EXPECT_EQ(evaluation.attempt, 2u) << id;
}

TEST(Engine, GivesUpWhereEveryEvaluationInItsOwnProcessThrows) {
  TemporaryFolder directory;
  auto broken = setup(directory.path(), 40, 2);
  broken.evaluate = [](const Job&, const std::atomic<bool>&, const std::function<void(const Progress&)>&) -> run::EvaluationRecorded {
    throw std::runtime_error("always");
  };
  Engine engine(std::move(broken));
  const auto result = run_to_the_end(engine);
  EXPECT_EQ(result.reason, "5 candidates in a row could not be evaluated; the last: always");
  EXPECT_FALSE(result.complete);
}

TEST(Engine, EndsWhenItIsDestroyedWhileEvaluationsBlock) {
  TemporaryFolder directory;
  auto blocking = setup(directory.path(), 20, 2);
  std::atomic<int> running{0};
  blocking.evaluate = [&](const Job& job, const std::atomic<bool>& stop, const std::function<void(const Progress&)>&) {
    ++running;
    while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return judge(job);
  };
  {
    Engine engine(std::move(blocking));
    while (running < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(RoleCount::alive(), 0u);
  const auto summary = run::summarise(directory.path());
  EXPECT_TRUE(summary.evaluations.empty()) << "a result of a stopped evaluation must not count";
  ASSERT_TRUE(summary.ended);
  EXPECT_EQ(summary.ended->reason, "interrupted");
}

TEST(Engine, ReportsEveryRecordToItsObserverInJournalOrder) {
  TemporaryFolder directory;
  auto observed = setup(directory.path(), 12, 2);
  std::mutex mutex;
  std::vector<std::uint64_t> seqs;
  observed.observer.on_record = [&](const run::JournalEntry& entry) {
    const std::lock_guard lock(mutex);
    seqs.push_back(entry.seq);
  };
  {
    Engine engine(std::move(observed));
    run_to_the_end(engine);
  }
  ASSERT_GE(seqs.size(), 26u);
  for (std::size_t i = 0; i < seqs.size(); ++i) EXPECT_EQ(seqs[i], i);
}

TEST(Engine, EndsAndSaysWhyWhereAnOutcomeDoesNotFitTheSearch) {
  TemporaryFolder directory;
  auto wrong = setup(directory.path(), 12, 2);
  wrong.evaluate = [](const Job& job, const std::atomic<bool>&, const std::function<void(const Progress&)>&) {
    auto record = judge(job);
    record.outcome.objectives.pop_back();
    return record;
  };
  {
    Engine engine(std::move(wrong));
    const auto result = run_to_the_end(engine);
    EXPECT_THAT(result.reason, testing::AllOf(testing::HasSubstr("population: "), testing::HasSubstr("1 objectives")));
    EXPECT_FALSE(result.complete);
  }
  EXPECT_EQ(RoleCount::alive(), 0u);
}

TEST(Engine, EndsWhereARoleCannotBegin) {
  TemporaryFolder directory;
  auto impossible = setup(directory.path(), 12, 2);
  impossible.experiment.search.population = 0;
  {
    Engine engine(std::move(impossible));
    const auto result = run_to_the_end(engine);
    EXPECT_FALSE(result.complete);
    EXPECT_NE(result.reason, "");
  }
  EXPECT_EQ(RoleCount::alive(), 0u);
}

TEST(Engine, EndsWhereItsObserverThrows) {
  TemporaryFolder directory;
  auto observed = setup(directory.path(), 12, 2);
  observed.observer.on_record = [](const run::JournalEntry& entry) {
    if (entry.seq == 5) throw std::runtime_error("nobody looks");
  };
  {
    Engine engine(std::move(observed));
    const auto result = run_to_the_end(engine);
    EXPECT_EQ(result.reason, "observer: nobody looks");
    EXPECT_FALSE(result.complete);
  }
  EXPECT_EQ(RoleCount::alive(), 0u);
  EXPECT_TRUE(run::summarise(directory.path()).ended);
}

TEST(Engine, IsNotCompleteWhereItsEndCannotBeRecorded) {
  TemporaryFolder directory;
  auto full = setup(directory.path(), 7, 1);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  int evaluations = 0;
  full.observer.on_record = [&, path = directory.path() / "journal"](const run::JournalEntry& entry) {
    if (!std::holds_alternative<run::EvaluationRecorded>(entry.record) || ++evaluations < 9) return;
    const rlimit limit{.rlim_cur = std::filesystem::file_size(path), .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);  // a full disk, once 7 candidates and two baselines are in
  };
  {
    Engine engine(std::move(full));
    const auto result = run_to_the_end(engine);
    EXPECT_THAT(result.reason, testing::StartsWith("journal: "));
    EXPECT_FALSE(result.complete);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(RoleCount::alive(), 0u);
}

/// An engine whose worker processes run this shell script.
EngineSetup scripted(const std::filesystem::path& directory, const std::string& script) {
  std::filesystem::create_directory(directory / "logs");
  std::filesystem::create_directory(directory / "checkpoints");
  auto made = setup(directory, 7, 1);
  made.evaluate = nullptr;
  made.worker_program = directory / "worker";
  std::ofstream(made.worker_program) << "#!/bin/sh\n" << script << '\n';
  std::filesystem::permissions(made.worker_program, std::filesystem::perms::owner_all);
  return made;
}

TEST(Engine, KillsWorkersThatDoNotBecomeReadyAndGivesUpAfterThree) {
  TemporaryFolder directory;
  auto mute = scripted(directory.path(), "exec sleep 1000");
  mute.ready_within = std::chrono::milliseconds(0);
  {
    Engine engine(std::move(mute));
    const auto result = run_to_the_end(engine);
    EXPECT_THAT(result.reason, testing::HasSubstr("worker w0 ended three times before it was ready (not ready within 0 s, killed"));
    EXPECT_THAT(result.reason, testing::HasSubstr("logs/w0.log"));
  }
  EXPECT_EQ(RoleCount::alive(), 0u);
}

TEST(Engine, RemovesWhatItsWorkersWereWritingWhenTheyWereStopped) {
  TemporaryFolder directory;
  const auto checkpoints = directory.path() / "checkpoints";
  auto busy = scripted(directory.path(), "echo half > '" + (checkpoints / "00000002.h5.tmp").string() + "'; exec sleep 1000");
  std::ofstream(checkpoints / "00000001.h5") << "whole";
  {
    Engine engine(std::move(busy));
    while (!std::filesystem::exists(checkpoints / "00000002.h5.tmp")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    engine.stop();
    engine.stop();  // this worker does not end by itself
    EXPECT_EQ(run_to_the_end(engine).reason, "interrupted");
  }
  EXPECT_FALSE(std::filesystem::exists(checkpoints / "00000002.h5.tmp"));
  EXPECT_TRUE(std::filesystem::exists(checkpoints / "00000001.h5"));
}

TEST(Engine, FailsWhereAJournalIsThereAlready) {
  TemporaryFolder directory;
  {
    Engine engine(setup(directory.path(), 7, 1));
    run_to_the_end(engine);
  }
  EXPECT_THROW(Engine(setup(directory.path(), 7, 1)), Failure);
}

}  // namespace
}  // namespace starling::actors
