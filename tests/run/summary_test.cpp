#include <starling/run/summary.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include <starling/base/error.hpp>
#include <starling/search/pareto.hpp>

#include <support/temporary_folder.hpp>

#include "sample_run.hpp"

namespace starling::run {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Summary, CountsTheFirstResultOfACandidate) {
  const auto records = testing::sample_run({100, 2, 8});
  const auto summary = summarise(testing::as_entries(records));
  EXPECT_EQ(summary.candidates.size(), 100u);
  EXPECT_EQ(summary.evaluations.size(), 100u);
  EXPECT_GT(summary.superseded.size(), 0u);
  for (const auto& [id, evaluation] : summary.evaluations) {
    EXPECT_EQ(evaluation.outcome.id, id);
    EXPECT_NE(evaluation.outcome.status, search::Status::superseded);
  }
  EXPECT_EQ(summary.baselines, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(summary.workers.size(), 2u);
  ASSERT_EQ(summary.given_up.size(), 1u);
  EXPECT_EQ(summary.given_up[0].device, "cuda:0");
  ASSERT_EQ(summary.ended->devices.size(), 2u);
  EXPECT_EQ(summary.ended->devices[1].busy_s, 350.0);
  EXPECT_EQ(summary.references.at(0).name, "unigram");
  ASSERT_TRUE(summary.ended);
  EXPECT_TRUE(summary.ended->complete);
  EXPECT_GT(summary.lost.size(), 0u);
}

TEST(Summary, ARetrainingCountsThatWasNotKilledAndLeavesTheSearchAsItWas) {
  const auto records = testing::sample_run({20, 2, 8});
  const auto summary = summarise(testing::as_entries(records));
  ASSERT_EQ(summary.retrainings.size(), 1u);
  const auto& [key, retraining] = *summary.retrainings.begin();
  EXPECT_EQ(key, (RetrainingKey{1, 40'960}));
  EXPECT_EQ(retraining.outcome.status, search::Status::ok);
  EXPECT_EQ(retraining.tokens, 4 * summary.evaluations.at(1).tokens);
  EXPECT_EQ(summary.retraining_tests.at(key).loss, 1.5);
  EXPECT_FALSE(summary.tests.contains(1)) << "the test of other weights";
  ASSERT_EQ(summary.extensions.size(), 1u);
  EXPECT_EQ(summary.extensions[0].started.host, "there");
  ASSERT_TRUE(summary.extensions[0].ended);
  EXPECT_EQ(summary.extensions[0].ended->reason, "done");
  EXPECT_EQ(summary.ended->reason, "budget");
}

TEST(Summary, FrontIsWhatNothingDominatesSortedByTheFirstObjective) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto summary = summarise(testing::as_entries(testing::sample_run({60, 1, 8}, seed)));
    std::set<std::uint64_t> expected;
    const auto eligible = [&](const EvaluationRecorded& e) {
      return e.outcome.status == search::Status::ok && summary.candidates.at(e.outcome.id).candidate.origin != search::Origin::baseline;
    };
    for (const auto& [id, mine] : summary.evaluations) {
      bool dominated = !eligible(mine);
      for (const auto& [other_id, other] : summary.evaluations) {
        if (eligible(other) && eligible(mine)) dominated |= search::dominates(other.outcome.objectives, mine.outcome.objectives);
      }
      if (!dominated) expected.insert(id);
    }
    EXPECT_EQ(std::set<std::uint64_t>(summary.front.begin(), summary.front.end()), expected);
    for (std::size_t i = 1; i < summary.front.size(); ++i) {
      EXPECT_LE(summary.evaluations.at(summary.front[i - 1]).outcome.objectives[0],
                summary.evaluations.at(summary.front[i]).outcome.objectives[0]);
    }
  }
}

TEST(Summary, KnowsNoCheckpointThatWasDropped) {
  const auto records = testing::sample_run({100, 1, 8});
  std::set<std::string> dropped, kept;
  for (const auto& record : records) {
    if (const auto* gone = std::get_if<CheckpointDropped>(&record)) dropped.insert(gone->path);
  }
  ASSERT_FALSE(dropped.empty());
  for (const auto& [id, evaluation] : summarise(testing::as_entries(records)).evaluations) {
    if (!evaluation.checkpoint.path.empty()) kept.insert(evaluation.checkpoint.path);
  }
  EXPECT_FALSE(kept.empty());
  for (const auto& path : kept) EXPECT_FALSE(dropped.contains(path));
}

TEST(Summary, IsReadFromTheJournalOfARunDirectory) {
  TemporaryFolder directory;
  EXPECT_THAT([&] { summarise(directory.path() / "absent"); }, ThrowsMessage<UserError>(HasSubstr("no such run directory")));
  EXPECT_THAT([&] { summarise(directory.path()); }, ThrowsMessage<UserError>(HasSubstr("not a run directory")));
  auto journal = Journal::create(directory.path() / "journal");
  EXPECT_THAT([&] { summarise(directory.path()); }, ThrowsMessage<UserError>(HasSubstr("before it began")));
  const auto records = testing::sample_run({10, 1, 8});
  for (const auto& record : records) {
    if (std::holds_alternative<RunEnded>(record)) break;
    journal.append(record);
  }
  const auto summary = summarise(directory.path());
  EXPECT_EQ(summary.candidates.size(), 10u);
  EXPECT_FALSE(summary.ended) << "the run goes on";
}

TEST(Summary, RefusesResultsThatDoNotFitTheRun) {
  auto records = testing::sample_run({5, 1, 8});
  for (auto& record : records) {
    if (auto* evaluation = std::get_if<EvaluationRecorded>(&record)) evaluation->outcome.objectives.push_back(1);
  }
  EXPECT_THAT([&] { summarise(testing::as_entries(records)); }, ThrowsMessage<Failure>(HasSubstr("objectives")));
}

}  // namespace
}  // namespace starling::run
