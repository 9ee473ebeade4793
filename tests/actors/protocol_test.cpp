// The protocol between population, recorder and evaluators, message by message.
#include "protocol_fixture.hpp"

#include <deque>
#include <fstream>

namespace starling::actors {
namespace {

using search::Status;

TEST_F(Protocol, LeasesFollowDemandAndComeAfterTheirCandidateIsDurable) {
  start();
  const auto& a = add_worker("w0");
  const auto& b = add_worker("w1");
  ASSERT_EQ(a.played->leases.size(), 2u);
  ASSERT_EQ(b.played->leases.size(), 2u);
  const auto candidates = journalled<run::CandidateAccepted>();
  ASSERT_EQ(candidates.size(), 4u) << "nothing is bred that nobody asked for";
  for (std::size_t i = 0; i < candidates.size(); ++i) EXPECT_EQ(candidates[i].candidate.id, i + 1);
  EXPECT_EQ(a.job(0).genome, candidates[a.job(0).id - 1].candidate.genome);
}

TEST_F(Protocol, BaselinesComeFirstAndDoNotCount) {
  settings_.search.evaluations = 1;
  add_baseline("transformer++");
  add_baseline("striped-mamba");
  start();
  auto& a = add_worker("w0", 1);
  finish_job(a, a.job(0), {1, 1});
  finish_job(a, a.job(1), {1, 1});
  ASSERT_EQ(a.played->leases.size(), 3u);
  EXPECT_TRUE(told_->finished.empty());
  finish_job(a, a.job(2), {1, 1});
  const auto candidates = journalled<run::CandidateAccepted>();
  ASSERT_EQ(candidates.size(), 3u);
  EXPECT_EQ(candidates[0].candidate.name, "transformer++");
  EXPECT_EQ(candidates[1].candidate.name, "striped-mamba");
  EXPECT_EQ(candidates[2].candidate.origin, search::Origin::random);
  EXPECT_EQ(told_->finished, std::vector<std::string>{"budget"});
}

TEST_F(Protocol, ALostWorkerCostsItsStartedLeaseOneAttemptAndThePrefetchedOneNothing) {
  start();
  auto& a = add_worker("w0");
  begin_job(a, a.job(0));
  caf::anon_send_exit(a.front, caf::exit_reason::kill);
  run();
  const auto lost = journalled<run::AttemptLost>();
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].candidate_id, a.job(0).id);
  EXPECT_EQ(lost[0].worker, "w0");
  const auto& b = add_worker("w1");
  ASSERT_EQ(b.played->leases.size(), 2u);
  std::map<std::uint64_t, std::uint32_t> attempts;
  for (const auto& job : b.played->leases) attempts[job.id] = job.attempt;
  EXPECT_EQ(attempts, (std::map<std::uint64_t, std::uint32_t>{{a.job(0).id, 2}, {a.job(1).id, 1}}));
}

TEST_F(Protocol, WhatADeviceLostGoesToAnotherOneUntilTheFirstHasFinishedSomething) {
  start();
  auto& broken = add_worker("w0", 1, "cuda:1");
  auto& busy = add_worker("w1", 1, "cuda:0");
  const auto lose = [&](const Job& job) {
    begin_job(broken, job);
    caf::anon_send(population_, lost_atom_v, broken.name, job.id, job.attempt, std::string("CUDA error"));
    run();
    demand(broken);
  };
  const auto first = broken.job(0).id, second = broken.job(0).id + 2;
  lose(broken.job(0));
  ASSERT_EQ(broken.played->leases.size(), 2u);
  EXPECT_EQ(broken.job(1).id, second) << "the first one waits for the other device";
  lose(broken.job(1));
  EXPECT_EQ(broken.job(2).attempt, 1u);
  finish_job(busy, busy.job(0), {1, 1});
  EXPECT_EQ(busy.job(1).id, first);
  EXPECT_EQ(busy.job(1).attempt, 2u);
  finish_job(broken, broken.job(2), {1, 1});
  EXPECT_EQ(broken.job(3).id, second) << "it works again";
}

TEST_F(Protocol, WhatADeviceLostWaitsForOneThatHasYetToBeginUntilThatIsGivenUp) {
  settings_.devices = {"cuda:0", "cuda:1"};
  start();
  auto& broken = add_worker("w1", 1, "cuda:1");
  const auto first = broken.job(0).id;
  begin_job(broken, broken.job(0));
  caf::anon_send(population_, lost_atom_v, broken.name, first, 1u, std::string("CUDA error"));
  run();
  demand(broken);
  ASSERT_EQ(broken.played->leases.size(), 2u);
  EXPECT_NE(broken.job(1).id, first) << "nobody has come from the other device, but will";
  demand(broken);
  EXPECT_NE(broken.job(2).id, first);
  caf::anon_send(recorder_, record_atom_v, std::make_shared<const run::Record>(run::DeviceGivenUp{"cuda:0", "no driver", "now"}));
  run();
  demand(broken);
  EXPECT_EQ(broken.job(3).id, first);
  EXPECT_EQ(broken.job(3).attempt, 2u);
}

TEST_F(Protocol, WhatEveryDeviceLostGoesToAnyOfThem) {
  start();
  for (const std::string device : {"cuda:0", "cuda:1", "cuda:1"}) {
    auto& worker = add_worker("w of " + device, 1, device);
    EXPECT_EQ(worker.job(0).id, 1u);
    begin_job(worker, worker.job(0));
    caf::anon_send(population_, lost_atom_v, worker.name, worker.job(0).id, worker.job(0).attempt, std::string("CUDA error"));
    run();
  }
  const auto evaluations = journalled<run::EvaluationRecorded>();
  ASSERT_EQ(evaluations.size(), 1u);
  EXPECT_EQ(evaluations[0].outcome.status, Status::killed);
}

TEST_F(Protocol, NobodyIsAskedToGiveBackWhatTheIdleDeviceHasLost) {
  settings_.search.evaluations = 3;
  start();
  auto& broken = add_worker("w0", 1, "cuda:1");
  auto& busy = add_worker("w1", 2, "cuda:0");
  begin_job(broken, broken.job(0));
  caf::anon_send(population_, lost_atom_v, broken.name, broken.job(0).id, 1u, std::string("CUDA error"));
  run();
  finish_job(busy, busy.job(0), {1, 1});
  begin_job(busy, busy.job(1));
  ASSERT_EQ(busy.job(2).id, broken.job(0).id) << "prefetched";
  demand(broken);  // it is idle, and there is nothing else
  EXPECT_TRUE(busy.played->recalled.empty());
  EXPECT_EQ(broken.played->leases.size(), 1u);
}

TEST_F(Protocol, TheTrainingSeedDependsOnTheIdAndNotOnTheAttempt) {
  start();
  auto& a = add_worker("w0", 1);
  begin_job(a, a.job(0));
  caf::anon_send_exit(a.front, caf::exit_reason::kill);
  run();
  const auto& b = add_worker("w1", 2);
  EXPECT_EQ(b.job(0).id, a.job(0).id);
  EXPECT_EQ(b.job(0).training_seed, a.job(0).training_seed);
  EXPECT_NE(b.job(1).training_seed, a.job(0).training_seed);
}

TEST_F(Protocol, AfterThreeLostAttemptsACandidateIsKilledAndTheSearchGoesOn) {
  settings_.search.evaluations = 2;
  start();
  std::uint64_t id = 0;
  for (int i = 0; i < 3; ++i) {
    auto& worker = add_worker("w" + std::to_string(i), 1);
    id = worker.job(0).id;
    EXPECT_EQ(worker.job(0).attempt, static_cast<std::uint32_t>(i) + 1);
    begin_job(worker, worker.job(0));
    caf::anon_send_exit(worker.front, caf::exit_reason::kill);
    run();
  }
  const auto evaluations = journalled<run::EvaluationRecorded>();
  ASSERT_EQ(evaluations.size(), 1u);
  EXPECT_EQ(evaluations[0].outcome.id, id);
  EXPECT_EQ(evaluations[0].outcome.status, Status::killed);
  EXPECT_EQ(evaluations[0].reason, "worker lost");
  auto& last = add_worker("w3", 1);
  EXPECT_NE(last.job(0).id, id);
  finish_job(last, last.job(0), {1, 1});
  EXPECT_EQ(told_->finished, std::vector<std::string>{"budget"});
}

TEST_F(Protocol, CandidatesKilledInARowEndTheRunAndAnyOtherResultBreaksTheRow) {
  settings_.search.attempts = 1;
  settings_.give_up_after = 3;
  start();
  int workers = 0;
  const auto kill_one = [&] {
    auto& worker = add_worker("w" + std::to_string(workers++), 1);
    begin_job(worker, worker.job(0));
    caf::anon_send(population_, lost_atom_v, worker.name, worker.job(0).id, 1u, std::string("no space left on device"));
    run();
  };
  kill_one();
  kill_one();
  auto& fortunate = add_worker("fortunate", 1);
  finish_job(fortunate, fortunate.job(0), {}, Status::diverged);
  kill_one();
  kill_one();
  EXPECT_TRUE(told_->finished.empty());
  kill_one();
  EXPECT_THAT(told_->finished, ::testing::ElementsAre("3 candidates in a row could not be evaluated; the last: no space left on device"));
}

TEST_F(Protocol, WhatWasKeptIsTestedAfterTheSearchAndTheRunEndsAfterThat) {
  settings_.search.evaluations = 3;
  settings_.search.attempts = 2;
  settings_.test = true;
  start();
  auto& a = add_worker("w0", 1);
  finish_job(a, a.job(0), {1, 3}, Status::ok, "checkpoints/1");
  finish_job(a, a.job(1), {2, 4}, Status::ok, "checkpoints/2");  // dominated: dropped
  finish_job(a, a.job(2), {3, 1}, Status::ok, "checkpoints/3");
  EXPECT_TRUE(told_->finished.empty());
  ASSERT_EQ(a.played->leases.size(), 4u);
  EXPECT_EQ(a.job(3).test_of, "checkpoints/1");
  EXPECT_EQ(a.job(3).id, a.job(0).id);
  EXPECT_EQ(a.job(3).genome, a.job(0).genome);
  const auto test = [&](const Job& job) {
    TestMessage message;
    message.record.candidate_id = job.id;
    caf::anon_send(recorder_, evaluation_atom_v, message);
    run();
    demand(a);
  };
  begin_job(a, a.job(3));
  test(a.job(3));
  TestMessage again;  // from a lease that had expired
  again.record.candidate_id = a.job(3).id;
  caf::anon_send(recorder_, evaluation_atom_v, again);
  run();
  // The other is lost as often as may be, and left out.
  for (const std::uint32_t attempt : {1u, 2u}) {
    const Job job = a.played->leases.back();
    EXPECT_EQ(job.test_of, "checkpoints/3");
    EXPECT_EQ(job.attempt, attempt);
    EXPECT_TRUE(told_->finished.empty());
    begin_job(a, job);
    caf::anon_send(population_, lost_atom_v, std::string("w0"), job.id, job.attempt, std::string("unreadable"));
    run();
    demand(a);
  }
  EXPECT_EQ(told_->finished, std::vector<std::string>{"budget"});
  ASSERT_EQ(journalled<run::TestRecorded>().size(), 1u);
  EXPECT_EQ(journalled<run::EvaluationRecorded>().size(), 3u);
}

TEST_F(Protocol, ATestOnALostWorkerIsDoneByAnother) {
  settings_.search.evaluations = 1;
  settings_.test = true;
  start();
  auto& a = add_worker("w0", 1);
  finish_job(a, a.job(0), {1, 1}, Status::ok, "checkpoints/1");
  begin_job(a, a.job(1));
  caf::anon_send_exit(a.front, caf::exit_reason::kill);
  run();
  auto& b = add_worker("w1", 1);
  ASSERT_EQ(b.played->leases.size(), 1u);
  EXPECT_EQ(b.job(0).test_of, "checkpoints/1");
  EXPECT_EQ(b.job(0).attempt, 2u);
  EXPECT_TRUE(told_->finished.empty());
}

TEST_F(Protocol, AWorkerThatEndsRightBehindItsResultCostsTheTestNoAttempt) {
  settings_.search.evaluations = 1;
  settings_.search.attempts = 1;
  settings_.test = true;
  start();
  auto& a = add_worker("w0", 1);
  const Job training = a.job(0);
  finish_job(a, training, {1, 1}, Status::ok, "checkpoints/1");
  ASSERT_EQ(a.job(1).test_of, "checkpoints/1");
  const run::AttemptLost lost{.candidate_id = training.id, .attempt = training.attempt, .worker = "w0", .reason = {}, .time_utc = {}};
  caf::anon_send(recorder_, record_atom_v, std::make_shared<const run::Record>(lost));
  run();
  EXPECT_TRUE(told_->finished.empty()) << "the test is out";
}

TEST_F(Protocol, AResultThatIsOnItsWayWhenItsWorkerIsLostCounts) {
  start();
  auto& a = add_worker("w0", 1);
  const Job job = a.job(0);
  begin_job(a, job);
  EvaluationMessage message;
  message.record.outcome = {.id = job.id, .status = Status::ok, .objectives = {1, 2}};
  message.record.attempt = job.attempt;
  caf::anon_send(recorder_, evaluation_atom_v, message);
  caf::anon_send_exit(a.front, caf::exit_reason::kill);
  run();
  const auto evaluations = journalled<run::EvaluationRecorded>();
  ASSERT_EQ(evaluations.size(), 1u);
  EXPECT_EQ(evaluations[0].outcome.status, Status::ok);
  const auto& b = add_worker("w1", 2);
  for (const auto& lease : b.played->leases) EXPECT_NE(lease.id, job.id);
}

TEST_F(Protocol, AResultThatOvertakesTheLossOfTheLastAttemptCounts) {
  start();
  auto& a = add_worker("w0", 1);
  for (const std::uint32_t attempt : {1u, 2u, 3u}) {
    const Job job = a.played->leases.back();
    ASSERT_EQ(job.attempt, attempt);
    begin_job(a, job);
    caf::anon_send(population_, lost_atom_v, std::string("w0"), job.id, job.attempt, std::string("out of memory"));
    if (attempt == 3) break;  // its loss is on the way to the recorder …
    run();
    demand(a);
  }
  EvaluationMessage late;
  late.record.outcome = {.id = a.job(0).id, .status = Status::ok, .objectives = {1, 2}};
  late.record.attempt = 1;  // … where this overtakes it
  caf::anon_send(recorder_, evaluation_atom_v, late);
  run();
  const auto evaluations = journalled<run::EvaluationRecorded>();
  ASSERT_EQ(evaluations.size(), 1u) << "nothing is recorded as killed";
  EXPECT_EQ(evaluations[0].outcome.status, Status::ok);
  EXPECT_EQ(journalled<run::AttemptLost>().size(), 3u);
}

TEST_F(Protocol, AnEvaluatorsErrorCostsOneAttempt) {
  start();
  auto& a = add_worker("w0", 1);
  begin_job(a, a.job(0));
  caf::anon_send(population_, lost_atom_v, std::string("w0"), a.job(0).id, a.job(0).attempt, std::string("out of memory"));
  demand(a);
  const auto lost = journalled<run::AttemptLost>();
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].reason, "out of memory");
  ASSERT_EQ(a.played->leases.size(), 2u);
  EXPECT_EQ(a.job(1).id, a.job(0).id);
  EXPECT_EQ(a.job(1).attempt, 2u);
}

TEST_F(Protocol, ALateResultOfAnExpiredLeaseCountsAndTheSecondAttemptIsSuperseded) {
  start();
  auto& slow = add_worker("slow", 1);
  const Job first = slow.job(0);
  begin_job(slow, first);
  scheduler().advance_time(std::chrono::seconds(59));
  run();
  EXPECT_TRUE(journalled<run::AttemptLost>().empty()) << "the deadline has not passed yet";
  scheduler().advance_time(std::chrono::seconds(2));
  run();
  ASSERT_EQ(journalled<run::AttemptLost>().size(), 1u);
  EXPECT_EQ(told_->killed, std::vector<std::string>{"slow"});
  EXPECT_EQ(slow.played->revoked.size(), 1u);

  auto& second = add_worker("second", 1);
  ASSERT_EQ(second.job(0).id, first.id);
  begin_job(second, second.job(0));
  finish_job(slow, first, {1, 2});
  EXPECT_EQ(second.played->revoked, (std::vector<std::pair<std::uint64_t, std::uint32_t>>{{first.id, 2}}));
  finish_job(second, second.job(0), {3, 4});

  const auto evaluations = journalled<run::EvaluationRecorded>();
  ASSERT_EQ(evaluations.size(), 2u);
  EXPECT_EQ(evaluations[0].outcome.status, Status::ok);
  EXPECT_EQ(evaluations[0].attempt, 1u);
  EXPECT_EQ(evaluations[1].outcome.status, Status::superseded);
}

TEST_F(Protocol, ALateResultThatComesBeforeTheSecondAttemptIsLeasedMakesThatAttemptUnnecessary) {
  settings_.search.evaluations = 1;
  start();
  auto& slow = add_worker("slow", 1);
  const Job first = slow.job(0);
  begin_job(slow, first);
  scheduler().advance_time(std::chrono::minutes(2));
  run();
  finish_job(slow, first, {1, 2});
  EXPECT_EQ(told_->finished, std::vector<std::string>{"budget"});
  EXPECT_EQ(slow.played->leases.size(), 1u) << "a final candidate is not leased again";
}

TEST_F(Protocol, ADuplicateResultIsJournalledAsSupersededAndChangesNothing) {
  settings_.search.evaluations = 2;
  start();
  auto& a = add_worker("w0", 1);
  const Job job = a.job(0);
  finish_job(a, job, {1, 2});
  finish_job(a, job, {0, 0});
  EXPECT_TRUE(told_->finished.empty()) << "the second result must not count to the budget";
  const auto evaluations = journalled<run::EvaluationRecorded>();
  ASSERT_EQ(evaluations.size(), 2u);
  EXPECT_EQ(evaluations[1].outcome.status, Status::superseded);
}

TEST_F(Protocol, AGenomeThatWasSeenIsRefusedAndBredAgain) {
  // A custom mutation that proposes the same genome for the first three attempts of every index.
  struct Log {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> asked;
  };
  const auto log = std::make_shared<Log>();
  const auto breeding = settings_.search.breeding;
  start([=](MutationActor::pointer) -> MutationActor::behavior_type {
    return {[=](mutate_atom, const Mutate& mutate) {
      log->asked.emplace_back(mutate.index, mutate.attempt);
      return search::make_child(breeding, {}, mutate.attempt < 3 ? 1 : mutate.index, mutate.attempt < 3 ? 0 : mutate.attempt);
    }};
  });
  add_worker("w0", 3);
  const auto candidates = journalled<run::CandidateAccepted>();
  ASSERT_EQ(candidates.size(), 3u);
  std::set<std::uint64_t> hashes;
  for (const auto& candidate : candidates) hashes.insert(candidate.candidate.hash);
  EXPECT_EQ(hashes.size(), 3u);
  EXPECT_EQ(log->asked,
            (std::vector<std::pair<std::uint64_t, std::uint32_t>>{{1, 0}, {2, 0}, {2, 1}, {2, 2}, {2, 3}, {3, 0}, {3, 1}, {3, 2}, {3, 3}}));
}

TEST_F(Protocol, ASpaceWithoutNewGenomesEndsTheSearchEarly) {
  const auto breeding = settings_.search.breeding;
  start([=](MutationActor::pointer) -> MutationActor::behavior_type {
    return {[=](mutate_atom, const Mutate&) { return search::make_child(breeding, {}, 1, 0); }};
  });
  auto& a = add_worker("w0", 2);
  ASSERT_EQ(a.played->leases.size(), 1u);
  finish_job(a, a.job(0), {1, 1});
  EXPECT_EQ(told_->finished, std::vector<std::string>{"space exhausted"});
}

TEST_F(Protocol, ChildrenAreBredOnceTheInitialCohortIsIn) {
  settings_.search.evaluations = 6;
  start();
  auto& a = add_worker("w0", 1);
  for (std::size_t i = 0; i < 6; ++i) finish_job(a, a.job(i), {1.0 / static_cast<double>(i + 1), static_cast<double>(i)});
  const auto candidates = journalled<run::CandidateAccepted>();
  ASSERT_EQ(candidates.size(), 6u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(candidates[i].candidate.origin, search::Origin::random) << i;
  for (std::size_t i = 4; i < 6; ++i) {
    EXPECT_NE(candidates[i].candidate.origin, search::Origin::random) << i;
    EXPECT_FALSE(candidates[i].candidate.parents.empty()) << i;
  }
}

TEST_F(Protocol, IdleWorkersGetFurtherRandomGenomesWhileTheCohortIsOut) {
  start();
  add_worker("slow", 4);  // holds the whole cohort
  const auto& idle = add_worker("idle", 1);
  ASSERT_EQ(idle.played->leases.size(), 1u);
  EXPECT_EQ(journalled<run::CandidateAccepted>().at(4).candidate.origin, search::Origin::random);
}

TEST_F(Protocol, APrefetchedLeaseIsRecalledForAnIdleWorkerAtTheEnd) {
  settings_.search.evaluations = 2;
  start();
  auto& busy = add_worker("busy", 2);
  begin_job(busy, busy.job(0));
  auto& idle = add_worker("idle", 2);
  ASSERT_EQ(busy.played->recalled, std::vector<std::uint64_t>{busy.job(1).id});
  caf::anon_send(population_, returned_atom_v, std::string("busy"), busy.job(1).id, busy.job(1).attempt);
  demand(busy);
  ASSERT_EQ(idle.played->leases.size(), 1u);
  EXPECT_EQ(idle.job(0).id, busy.job(1).id);
  EXPECT_EQ(idle.job(0).attempt, 1u) << "a lease that was not started costs no attempt";
}

TEST_F(Protocol, CheckpointsThatLeaveTheFrontAreDroppedAndTheOthersStay) {
  std::filesystem::create_directory(directory_.path() / "checkpoints");
  const auto file = [&](std::uint64_t id) {
    const std::string path = "checkpoints/" + std::to_string(id) + ".h5";
    std::ofstream(directory_.path() / path) << "weights";
    return path;
  };
  start();
  auto& a = add_worker("w0", 1);
  std::vector<std::string> paths;
  for (const auto& objectives : std::vector<std::vector<double>>{{2, 2}, {1, 3}, {1.5, 1.5}, {9, 9}}) {
    const Job job = a.played->leases.back();
    paths.push_back(file(job.id));
    finish_job(a, job, objectives, Status::ok, paths.back());
  }
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / paths[0])) << "dominated by the third";
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / paths[1]));
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / paths[2]));
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / paths[3])) << "dominated at once";
  EXPECT_EQ(journalled<run::CheckpointDropped>().size(), 2u);
}

TEST_F(Protocol, AfterAStopNothingIsHandedOut) {
  start();
  auto& a = add_worker("w0", 1);
  caf::anon_send(population_, stop_atom_v);
  run();
  EXPECT_TRUE(a.played->stopped);
  demand(a, 2);
  EXPECT_EQ(a.played->leases.size(), 1u);
  const auto& late = add_worker("w1");
  EXPECT_TRUE(late.played->stopped);
  EXPECT_TRUE(late.played->leases.empty());
}

TEST_F(Protocol, AnOutcomeThatDoesNotFitTheSearchEndsThePopulationWhichSaysWhy) {
  start();
  auto& a = add_worker("w0", 1);
  finish_job(a, a.job(0), {1, 2, 3});
  ASSERT_EQ(told_->finished.size(), 1u);
  EXPECT_NE(told_->finished[0].find("population: outcome of candidate 1 has 3 objectives"), std::string::npos) << told_->finished[0];
}

TEST_F(Protocol, MessagesOfLeasesThatAreNoMoreChangeNothing) {
  start();
  auto& a = add_worker("w0", 1);
  const Job job = a.job(0);
  begin_job(a, job);
  finish_job(a, job, {1, 2});
  caf::anon_send(population_, lost_atom_v, std::string("w0"), job.id, job.attempt, std::string("late"));
  caf::anon_send(population_, returned_atom_v, std::string("w0"), job.id, job.attempt);
  caf::anon_send(population_, started_atom_v, std::string("w0"), std::uint64_t{4711}, std::uint32_t{1});
  scheduler().advance_time(std::chrono::hours(2));
  run();
  EXPECT_TRUE(journalled<run::AttemptLost>().empty());
  EXPECT_TRUE(told_->killed.empty());
}

}  // namespace
}  // namespace starling::actors
