// The whole engine in one process, on threads, with a cheap evaluation.
#include <gtest/gtest.h>

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
  for (int i = 0; i < 600; ++i) {
    if (auto result = engine.wait_for(std::chrono::milliseconds(100))) return *result;
  }
  throw std::runtime_error("the engine does not end");
}

TEST(Engine, RunsASearchToItsBudgetAndRecordsAllOfIt) {
  TemporaryDirectory directory;
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
    TemporaryDirectory directory;
    {
      Engine engine(setup(directory.path(), 20, 2));
      if (interrupted) engine.stop();
      run_to_the_end(engine);
    }
    EXPECT_EQ(RoleCount::alive(), 0u) << "interrupted: " << interrupted;
  }
}

TEST(Engine, EndsWhenItIsDestroyedWhileEvaluationsBlock) {
  TemporaryDirectory directory;
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
  TemporaryDirectory directory;
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

TEST(Engine, FailsWhereAJournalIsThereAlready) {
  TemporaryDirectory directory;
  {
    Engine engine(setup(directory.path(), 7, 1));
    run_to_the_end(engine);
  }
  EXPECT_THROW(Engine(setup(directory.path(), 7, 1)), Failure);
}

}  // namespace
}  // namespace starling::actors
