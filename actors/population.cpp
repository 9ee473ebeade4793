#include <starling/actors/population.hpp>

#include <map>
#include <utility>

#include <starling/actors/leases.hpp>
#include <starling/actors/role_count.hpp>
#include <starling/genome/accounting.hpp>

namespace starling::actors {
namespace {

// Refused proposals of one index after which children give way to random genomes, and after which the space counts as exhausted.
constexpr std::uint32_t attempts_as_child = 64;
constexpr std::uint32_t attempts_at_all = 4096;

class PopulationRole {
 public:
  PopulationRole(PopulationActor::pointer self, PopulationSettings settings, PopulationWiring wiring)
      : self_(self),
        settings_(std::move(settings)),
        wiring_(std::move(wiring)),
        search_(settings_.search),
        leases_(self, {wiring_.recorder, wiring_.control, settings_.devices}, settings_.least_deadline,
                {[this](std::uint64_t id) { take_back(id); }, [this] { pump(); }}) {
    self_->send(wiring_.recorder, listen_atom_v, caf::actor_cast<ListenerActor>(self_));
  }

  Leases& leases() { return leases_; }

  void begin() {
    begun_ = true;
    pump();
  }

  void durable(const EntryPtr& entry) {
    try {
      std::visit([this](const auto& record) { apply(record); }, entry->record);
    } catch (const std::exception& error) {
      self_->send(wiring_.control, finished_atom_v, std::string("population: ") + error.what());
      self_->quit(caf::sec::runtime_error);
    }
  }

 private:
  struct Test {
    std::string checkpoint;
    std::uint32_t lost = 0;
    bool is_out = false;
  };

  // --- what has become durable

  void apply(const run::CandidateAccepted& record) {
    search_.apply_candidate(record.candidate);
    making_ = false;
    pump();
  }

  void apply(const run::AttemptLost& record) {
    if (const auto test = tests_.find(record.candidate_id); test != tests_.end()) {
      // A worker that ended right behind its result: what was lost is the training, which is over.
      if (leases_.holds(record.candidate_id)) return;
      test->second.is_out = false;
      if (++test->second.lost == settings_.search.attempts) tests_.erase(test);
      return pump();
    }
    if (search_.is_final(record.candidate_id)) return;
    if (!search_.apply_lost_attempt(record.candidate_id)) {
      run::EvaluationRecorded killed;
      killed.outcome.id = record.candidate_id;
      killed.outcome.status = search::Status::killed;
      killed.attempt = record.attempt;
      killed.reason = record.reason;
      killed.worker = record.worker;
      killed.started_utc = record.time_utc;
      this->record(std::move(killed));
    }
    pump();
  }

  void apply(const run::EvaluationRecorded& record) {
    if (record.outcome.status == search::Status::superseded) return;
    const auto id = record.outcome.id;
    const auto commit = search_.apply_outcome(record.outcome);
    if (!commit.counted) return;
    killed_in_a_row_ = record.outcome.status == search::Status::killed ? killed_in_a_row_ + 1 : 0;
    if (killed_in_a_row_ == settings_.give_up_after) {
      self_->send(wiring_.control, finished_atom_v,
                  std::to_string(killed_in_a_row_) + " candidates in a row could not be evaluated; the last: " + record.reason);
    }
    leases_.took(record.duration_s);
    if (!record.checkpoint.path.empty()) checkpoints_[id] = record.checkpoint.path;
    for (const auto dropped : commit.left_front) {
      if (auto file = checkpoints_.extract(dropped)) this->record(run::CheckpointDropped{dropped, file.mapped()});
    }
    leases_.settle(id, record.attempt);
    pump();
  }

  void apply(const run::TestRecorded& record) {
    const auto test = tests_.extract(record.candidate_id);
    if (test) leases_.settle(record.candidate_id, test.mapped().lost + 1);
    pump();
  }

  void apply(const run::DeviceGivenUp& record) { leases_.give_up(record.device); }

  template <class Other>
  void apply(const Other&) {}

  // --- handing out work

  void pump() {
    if (!begun_ || leases_.stopped()) return;
    const auto wanted = [this](std::uint64_t id) { return leases_.wanted(id); };
    while (const auto next = search_.take(wanted)) hand_out(*next);
    if (leases_.wanted()) make_more();
    if (!search_.finished() || making_ || next_baseline_ != settings_.baselines.size()) return;
    hand_out_tests();
    if (tests_.empty() && !std::exchange(finished_, true)) {
      self_->send(wiring_.control, finished_atom_v, std::string(exhausted_ ? "space exhausted" : "budget"));
    }
  }

  void hand_out(const search::Candidate& candidate) {
    Job job;
    job.id = candidate.id;
    job.attempt = search_.attempts_used(candidate.id) + 1;
    job.training_seed = derive_seed(settings_.search.breeding.seed, Purpose::training_seed, candidate.id);
    job.genome = candidate.genome;
    leases_.hand_out(std::move(job));
  }

  /// A lease came back that was not started.
  void take_back(std::uint64_t id) {
    if (const auto test = tests_.find(id); test != tests_.end()) {
      test->second.is_out = false;
    } else {
      search_.give_back(id);
    }
  }

  void hand_out_tests() {
    if (settings_.test && !std::exchange(testing_, true)) {
      for (const auto& [id, path] : checkpoints_) tests_[id].checkpoint = path;
    }
    for (auto& [id, test] : tests_) {
      if (test.is_out) continue;
      if (!leases_.wanted(id)) continue;
      test.is_out = true;
      leases_.hand_out({.id = id, .attempt = test.lost + 1, .genome = search_.find(id)->genome, .test_of = test.checkpoint});
    }
  }

  void make_more() {
    if (making_) return;
    if (next_baseline_ < settings_.baselines.size()) {
      accept(settings_.baselines[next_baseline_++]);
    } else if (search_.wants_candidate()) {
      making_ = true;
      breed(search_.next_index(), 0);
    } else {
      leases_.recall_for_the_idle();
    }
  }

  void breed(std::uint64_t index, std::uint32_t attempt) {
    auto snapshot = attempt < attempts_as_child ? search_.snapshot() : std::make_shared<const search::Snapshot>();
    self_->request(wiring_.selection, caf::infinite, breed_atom_v, Breed{index, attempt, std::move(snapshot)})
        .then([this, index, attempt](search::Candidate& proposal) { propose(std::move(proposal), index, attempt); },
              [this](const caf::error& error) {
                self_->send(wiring_.control, finished_atom_v, "breeding failed: " + self_->system().render(error));
              });
  }

  void propose(search::Candidate proposal, std::uint64_t index, std::uint32_t attempt) {
    if (!search_.seen(proposal.hash)) return accept(std::move(proposal));
    if (attempt + 1 < attempts_at_all) return breed(index, attempt + 1);
    exhausted_ = true;
    making_ = false;
    search_.stop_breeding();
    pump();
  }

  void accept(search::Candidate proposal) {
    making_ = true;
    run::CandidateAccepted accepted;
    accepted.candidate = search_.accept(std::move(proposal));
    accepted.parameters =
        genome::account(*settings_.search.breeding.space.catalogue, accepted.candidate.genome, settings_.dimensions).parameters.total();
    accepted.time_utc = run::now_utc();
    accepted.width = settings_.dimensions.width;
    record(std::move(accepted));
  }

  void record(run::Record record) { self_->send(wiring_.recorder, record_atom_v, std::make_shared<const run::Record>(std::move(record))); }

  RoleCount count_;
  PopulationActor::pointer self_;
  PopulationSettings settings_;
  PopulationWiring wiring_;
  search::SteadyState search_;
  Leases leases_;
  std::map<std::uint64_t, std::string> checkpoints_;  ///< of the front and the baselines
  std::map<std::uint64_t, Test> tests_;               ///< still to be measured
  std::size_t next_baseline_ = 0;
  std::uint32_t killed_in_a_row_ = 0;
  bool begun_ = false;
  bool making_ = false;  ///< a candidate is bred or on its way to disk
  bool exhausted_ = false;
  bool testing_ = false;
  bool finished_ = false;
};

}  // namespace

PopulationActor::behavior_type population(PopulationActor::pointer self, PopulationSettings settings, PopulationWiring wiring) {
  return leasing_behavior(std::make_shared<PopulationRole>(self, std::move(settings), std::move(wiring)));
}

}  // namespace starling::actors
