// Population, selection, mutation and recorder on CAF's deterministic test scheduler, with evaluators that the test plays itself.
#pragma once

#include <gmock/gmock.h>
#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <deque>
#include <map>
#include <set>

#include <starling/actors/mutation.hpp>
#include <starling/actors/population.hpp>
#include <starling/actors/recorder.hpp>
#include <starling/actors/selection.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/validity.hpp>

#include <support/temporary_folder.hpp>

namespace starling::actors {

struct TestConfig : caf::actor_system_config {
  TestConfig() {
    add_message_types<caf::id_block::starling>();
    set("scheduler.policy", caf::atom("testing"));
  }
};

/// What a played evaluator was told.
struct Played {
  std::vector<Job> leases;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> revoked;
  std::vector<std::uint64_t> recalled;
  bool stopped = false;
};

/// What the control actor was told.
struct Told {
  std::vector<std::string> finished;
  std::vector<std::string> killed;
};

inline EvaluatorActor::behavior_type played_evaluator(EvaluatorActor::pointer, std::shared_ptr<Played> played) {
  return {[=](lease_atom, const Job& job) { played->leases.push_back(job); },
          [=](revoke_atom, std::uint64_t id, std::uint32_t attempt) { played->revoked.emplace_back(id, attempt); },
          [=](recall_atom, std::uint64_t id) { played->recalled.push_back(id); },
          [](done_atom, const EvaluationMessage&) {},
          [](lost_atom, std::uint64_t, std::uint32_t, const std::string&) {},
          [](broken_atom, std::uint64_t, std::uint32_t, const std::string&) {},
          [](progress_atom, const Progress&) {},
          [=](stop_atom) { played->stopped = true; }};
}

inline ControlActor::behavior_type played_control(ControlActor::pointer, std::shared_ptr<Told> told) {
  return {[=](finished_atom, const std::string& reason) { told->finished.push_back(reason); },
          [=](kill_atom, const std::string& worker, const std::string&) { told->killed.push_back(worker); },
          [](progress_atom, const std::string&, const Progress&) {}};
}

class Protocol : public ::testing::Test {
 protected:
  struct Worker {
    std::string name;
    std::string device;
    EvaluatorActor front;
    std::shared_ptr<Played> played = std::make_shared<Played>();
    const Job& job(std::size_t i) const { return played->leases.at(i); }
  };

  Protocol() {
    settings_.search.breeding.population = 4;
    settings_.search.breeding.space.depth = 6;
    settings_.search.objectives = 2;
    settings_.search.evaluations = 8;
    settings_.dimensions = {.width = 64, .length = 32, .vocabulary = 257};
    settings_.least_deadline = std::chrono::minutes(1);
  }

  ~Protocol() override {
    for (const auto& worker : workers_) caf::anon_send_exit(worker.front, caf::exit_reason::kill);
    for (const auto& handle :
         {caf::actor_cast<caf::actor>(population_), caf::actor_cast<caf::actor>(recorder_), caf::actor_cast<caf::actor>(selection_),
          caf::actor_cast<caf::actor>(mutation_), caf::actor_cast<caf::actor>(control_)}) {
      if (handle) caf::anon_send_exit(handle, caf::exit_reason::kill);
    }
    run();
  }

  /// Spawns the roles; a test may bring a mutation of its own.
  void start(std::function<MutationActor::behavior_type(MutationActor::pointer)> own_mutation = {}) {
    control_ = system_.spawn(played_control, told_);
    journal_ = std::make_shared<run::Journal>(run::Journal::create(directory_.path() / "journal"));
    recorder_ = system_.spawn(recorder, journal_, directory_.path(), control_, EarlierEntries());
    const auto breeding = settings_.search.breeding;
    mutation_ = own_mutation ? system_.spawn(own_mutation) : system_.spawn(mutation, breeding);
    selection_ = system_.spawn(selection, breeding, mutation_);
    population_ = system_.spawn(population, settings_, PopulationWiring{selection_, recorder_, control_});
    caf::anon_send(population_, begin_atom_v);
    run();
  }

  void add_baseline(const std::string& name) {
    const auto& catalogue = *settings_.search.breeding.space.catalogue;
    search::Candidate baseline;
    baseline.origin = search::Origin::baseline;
    baseline.name = name;
    baseline.genome = genome::canonical(catalogue, genome::baseline(catalogue, name, settings_.search.breeding.space.depth));
    baseline.hash = genome::phenotype_hash(catalogue, baseline.genome);
    settings_.baselines.push_back(std::move(baseline));
  }

  Worker& add_worker(const std::string& name, std::uint32_t credit = 2, const std::string& device = "cpu") {
    auto& worker = workers_.emplace_back();
    worker.name = name;
    worker.device = device;
    worker.front = system_.spawn(played_evaluator, worker.played);
    demand(worker, credit);
    return worker;
  }

  void demand(const Worker& worker, std::uint32_t credit = 1) {
    caf::anon_send(population_, demand_atom_v, worker.name, worker.device, worker.front, credit);
    run();
  }
  void begin_job(const Worker& worker, const Job& job) {
    caf::anon_send(population_, started_atom_v, worker.name, job.id, job.attempt);
    run();
  }
  /// A result as an evaluator sends it: to the recorder, then a demand for the next candidate.
  void finish_job(const Worker& worker, const Job& job, std::vector<double> objectives, search::Status status = search::Status::ok,
                  std::string checkpoint = {}) {
    EvaluationMessage message;
    message.record.outcome = {.id = job.id, .status = status, .objectives = std::move(objectives)};
    message.record.attempt = job.attempt;
    message.record.worker = worker.name;
    message.record.duration_s = 1;
    message.record.checkpoint.path = std::move(checkpoint);
    caf::anon_send(recorder_, evaluation_atom_v, message);
    run();
    demand(worker);
  }

  void run() { scheduler().run(); }
  caf::scheduler::test_coordinator& scheduler() { return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler()); }

  template <class T>
  std::vector<T> journalled() const {
    std::vector<T> found;
    for (const auto& entry : run::read_journal(directory_.path() / "journal").entries) {
      if (const auto* record = std::get_if<T>(&entry.record)) found.push_back(*record);
    }
    return found;
  }

  TemporaryFolder directory_;
  TestConfig config_;
  caf::actor_system system_{config_};
  PopulationSettings settings_;
  std::shared_ptr<Told> told_ = std::make_shared<Told>();
  std::shared_ptr<run::Journal> journal_;
  ControlActor control_;
  RecorderActor recorder_;
  MutationActor mutation_;
  SelectionActor selection_;
  PopulationActor population_;
  std::deque<Worker> workers_;
};

}  // namespace starling::actors
