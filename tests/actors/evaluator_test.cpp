// The evaluator's own rules, with a population, a recorder and a trainer that the test plays.
#include "protocol_fixture.hpp"

#include <starling/actors/evaluator.hpp>

namespace starling::actors {
namespace {

struct Heard {
  std::uint32_t credit = 0;
  std::vector<std::uint64_t> started, returned;
  std::vector<std::string> lost;
  std::vector<run::EvaluationRecorded> results;
  std::vector<run::TestRecorded> tests;
  std::vector<run::RetrainingRecorded> retrainings;
  std::vector<std::pair<Job, StopFlag>> trained;
};

class Evaluators : public ::testing::Test {
 protected:
  Evaluators() {
    population_ = system_.spawn([heard = heard_](PopulationActor::pointer) -> PopulationActor::behavior_type {
      return {[](durable_atom, const EntryPtr&) {},
              [=](demand_atom, const std::string&, const std::string& device, const EvaluatorActor&, std::uint32_t credit) {
                EXPECT_EQ(device, "cuda:1");
                heard->credit += credit;
              },
              [=](started_atom, const std::string&, std::uint64_t id, std::uint32_t) { heard->started.push_back(id); },
              [=](returned_atom, const std::string&, std::uint64_t id, std::uint32_t) { heard->returned.push_back(id); },
              [=](lost_atom, const std::string&, std::uint64_t, std::uint32_t, const std::string& why) { heard->lost.push_back(why); },
              [](deadline_atom, std::uint64_t, std::uint32_t) {},
              [](begin_atom) {},
              [](stop_atom) {}};
    });
    recorder_ = system_.spawn([heard = heard_](RecorderActor::pointer) -> RecorderActor::behavior_type {
      return {[](record_atom, const RecordPtr&) {},
              [=](evaluation_atom, const EvaluationMessage& message) { heard->results.push_back(message.record); },
              [=](evaluation_atom, const TestMessage& message) { heard->tests.push_back(message.record); },
              [=](evaluation_atom, const RetrainingMessage& message) { heard->retrainings.push_back(message.record); },
              [](listen_atom, const ListenerActor&) {},
              [](sync_atom) {},
              [](flush_atom) { return std::uint64_t{0}; }};
    });
    control_ = system_.spawn(played_control, told_);
  }

  ~Evaluators() override {
    for (const auto& handle :
         {caf::actor_cast<caf::actor>(population_), caf::actor_cast<caf::actor>(recorder_), caf::actor_cast<caf::actor>(control_),
          caf::actor_cast<caf::actor>(front_), caf::actor_cast<caf::actor>(trainer_)}) {
      if (handle) caf::anon_send_exit(handle, caf::exit_reason::kill);
    }
    run();
  }

  void start(Evaluate evaluate = {}, bool replaceable = false) {
    trainer_ =
        evaluate ? system_.spawn(trainer, evaluate) : system_.spawn([heard = heard_](TrainerActor::pointer) -> TrainerActor::behavior_type {
          return {[=](train_atom, const Job& job, const StopFlag& stop) { heard->trained.emplace_back(job, stop); }};
        });
    front_ = system_.spawn(evaluator, EvaluatorWiring{"w0", "cuda:1", population_, recorder_, control_, replaceable}, trainer_);
    run();
  }

  void lease(std::uint64_t id, std::uint32_t attempt = 1) {
    Job job;
    job.id = id;
    job.attempt = attempt;
    job.training_seed = 99;
    caf::anon_send(front_, lease_atom_v, job);
    run();
  }
  void result(std::uint64_t id) {
    EvaluationMessage message;
    message.record.outcome.id = id;
    caf::anon_send(front_, done_atom_v, message);
    run();
  }
  void run() { dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler()).run(); }

  TestConfig config_;
  caf::actor_system system_{config_};
  std::shared_ptr<Told> told_ = std::make_shared<Told>();
  std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
  PopulationActor population_;
  RecorderActor recorder_;
  ControlActor control_;
  TrainerActor trainer_;
  EvaluatorActor front_;
};

TEST_F(Evaluators, AskForOneCandidateToTrainAndOneToPrefetch) {
  start();
  EXPECT_EQ(heard_->credit, 2u);
  lease(1);
  lease(2);
  EXPECT_EQ(heard_->started, std::vector<std::uint64_t>{1});
  ASSERT_EQ(heard_->trained.size(), 1u);
  result(1);
  EXPECT_EQ(heard_->started, (std::vector<std::uint64_t>{1, 2})) << "the prefetched one starts without another message from the population";
  EXPECT_EQ(heard_->credit, 3u);
}

TEST_F(Evaluators, ReportWhatATestMeasuredAsATestAndNotAsAResult) {
  start();
  Job job;
  job.id = 5;
  job.test_of = "checkpoints/00000005.h5";
  caf::anon_send(front_, lease_atom_v, job);
  run();
  EvaluationMessage measured;
  measured.record.outcome.id = 5;
  measured.record.loss = 1.5;
  measured.record.duration_s = 2;
  caf::anon_send(front_, done_atom_v, measured);
  run();
  EXPECT_TRUE(heard_->results.empty());
  ASSERT_EQ(heard_->tests.size(), 1u);
  EXPECT_EQ(heard_->tests[0].candidate_id, 5u);
  EXPECT_EQ(heard_->tests[0].loss, 1.5);
  EXPECT_EQ(heard_->tests[0].worker, "w0");
  EXPECT_EQ(heard_->tests[0].duration_s, 2);
}

TEST_F(Evaluators, ReportTheResultOfARetrainingApartFromThoseOfTheSearch) {
  start();
  Job job;
  job.id = 5;
  job.attempt = 2;
  job.training_seed = 99;
  job.tokens = 4000;
  caf::anon_send(front_, lease_atom_v, job);
  run();
  result(5);
  EXPECT_TRUE(heard_->results.empty());
  ASSERT_EQ(heard_->retrainings.size(), 1u);
  EXPECT_EQ(heard_->retrainings[0].asked_tokens, 4000);
  EXPECT_EQ(heard_->retrainings[0].evaluation.worker, "w0");
  EXPECT_EQ(heard_->retrainings[0].evaluation.attempt, 2u);
  EXPECT_EQ(heard_->retrainings[0].evaluation.training_seed, 99u);
  job.test_of = "checkpoints/00000005-4000.h5";
  caf::anon_send(front_, lease_atom_v, job);
  run();
  result(5);
  ASSERT_EQ(heard_->tests.size(), 1u);
  EXPECT_EQ(heard_->tests[0].asked_tokens, 4000);
}

TEST_F(Evaluators, SignResultsWithWorkerAttemptAndSeed) {
  start();
  lease(5, 3);
  result(5);
  ASSERT_EQ(heard_->results.size(), 1u);
  EXPECT_EQ(heard_->results[0].worker, "w0");
  EXPECT_EQ(heard_->results[0].attempt, 3u);
  EXPECT_EQ(heard_->results[0].training_seed, 99u);
}

TEST_F(Evaluators, StopARevokedJobAndKeepItsResultBack) {
  start();
  lease(1);
  lease(2);
  caf::anon_send(front_, revoke_atom_v, std::uint64_t{1}, std::uint32_t{1});
  run();
  EXPECT_TRUE(heard_->trained.at(0).second->load());
  result(1);
  EXPECT_TRUE(heard_->results.empty());
  EXPECT_EQ(heard_->started.back(), 2u);
}

TEST_F(Evaluators, GiveBackOnRecallOnlyWhatHasNotStarted) {
  start();
  lease(1);
  lease(2);
  caf::anon_send(front_, recall_atom_v, std::uint64_t{1});
  caf::anon_send(front_, recall_atom_v, std::uint64_t{2});
  run();
  EXPECT_EQ(heard_->returned, std::vector<std::uint64_t>{2});
  EXPECT_EQ(heard_->credit, 3u);
}

TEST_F(Evaluators, ReportAnExceptionAsALostAttempt) {
  start([](const Job&, const std::atomic<bool>&, const std::function<void(const Progress&)>&) -> run::EvaluationRecorded {
    throw std::runtime_error("the device is on fire");
  });
  lease(1);
  EXPECT_EQ(heard_->lost, std::vector<std::string>{"the device is on fire"});
  EXPECT_EQ(heard_->credit, 3u);
}

TEST_F(Evaluators, HaveTheirProcessKilledWhenItsDeviceFailedAndBeginNothingMore) {
  start(
      [](const Job&, const std::atomic<bool>&, const std::function<void(const Progress&)>&) -> run::EvaluationRecorded {
        throw DeviceError("CUDA error: an illegal memory access was encountered\nback trace");
      },
      true);
  for (const std::uint64_t id : {1, 2}) {
    Job job;
    job.id = id;
    caf::anon_send(front_, lease_atom_v, job);
  }
  run();
  lease(3);  // was on its way
  EXPECT_EQ(heard_->lost, std::vector<std::string>{"CUDA error: an illegal memory access was encountered"});
  EXPECT_EQ(heard_->started, std::vector<std::uint64_t>{1});
  EXPECT_EQ(heard_->returned, (std::vector<std::uint64_t>{2, 3})) << "they cost no attempt";
  EXPECT_EQ(heard_->credit, 2u) << "nothing is asked for any more";
  EXPECT_EQ(told_->killed, std::vector<std::string>{"w0"});
}

TEST_F(Evaluators, ThatNobodyReplacesGoOnAfterAFailedDevice) {
  start([](const Job&, const std::atomic<bool>&, const std::function<void(const Progress&)>&) -> run::EvaluationRecorded {
    throw DeviceError("gone");
  });
  lease(1);
  lease(2);
  EXPECT_EQ(heard_->lost, (std::vector<std::string>{"gone", "gone"}));
  EXPECT_EQ(heard_->credit, 4u);
  EXPECT_TRUE(told_->killed.empty());
}

TEST_F(Evaluators, StopTheirTrainerAndEndWhenThePopulationIsGone) {
  start();
  lease(1);
  lease(2);
  caf::anon_send_exit(population_, caf::exit_reason::kill);
  run();
  EXPECT_TRUE(heard_->trained.at(0).second->load());
  caf::scoped_actor self{system_};
  self->monitor(front_);
  bool down = false;
  self->receive([&](caf::down_msg&) { down = true; }, caf::after(std::chrono::seconds(0)) >> [] {});
  EXPECT_TRUE(down);
}

}  // namespace
}  // namespace starling::actors
