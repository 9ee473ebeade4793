#include <starling/actors/population.hpp>

#include <algorithm>
#include <map>
#include <utility>

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
      : self_(self), settings_(std::move(settings)), wiring_(std::move(wiring)), search_(settings_.search) {
    self_->send(wiring_.recorder, listen_atom_v, caf::actor_cast<ListenerActor>(self_));
    self_->set_down_handler([this](caf::down_msg& message) { evaluator_down(message.source); });
  }

  void begin() {
    begun_ = true;
    pump();
  }

  void stop() {
    stopped_ = true;
    for (const auto& [address, evaluator] : evaluators_) self_->send(evaluator.front, stop_atom_v);
  }

  void demand(const std::string& worker, const EvaluatorActor& front, std::uint32_t credit) {
    auto [entry, is_new] = evaluators_.try_emplace(caf::actor_cast<caf::actor_addr>(front));
    if (is_new) {
      entry->second = {.front = front, .worker = worker};
      self_->monitor(front);
      if (stopped_) self_->send(front, stop_atom_v);
    }
    entry->second.credit += credit;
    pump();
  }

  void started(std::uint64_t id, std::uint32_t attempt) {
    const auto lease = find_lease(id, attempt);
    if (lease == leases_.end()) return;
    lease->second.started = true;
    self_->delayed_send(self_, deadline(), deadline_atom_v, id, attempt);
  }

  void returned(std::uint64_t id, std::uint32_t attempt) {
    const auto lease = find_lease(id, attempt);
    if (lease == leases_.end() || lease->second.started) return;
    leases_.erase(lease);
    take_back(id);
    pump();
  }

  void lost(std::uint64_t id, std::uint32_t attempt, const std::string& reason) {
    const auto lease = find_lease(id, attempt);
    if (lease == leases_.end()) return;
    lose(lease, reason);
  }

  void deadline_passed(std::uint64_t id, std::uint32_t attempt) {
    const auto lease = find_lease(id, attempt);
    if (lease == leases_.end()) return;
    const std::string reason = "deadline passed";
    if (const auto evaluator = evaluators_.find(lease->second.evaluator); evaluator != evaluators_.end()) {
      self_->send(evaluator->second.front, revoke_atom_v, id, attempt);
      self_->send(wiring_.control, kill_atom_v, evaluator->second.worker, reason);
    }
    lose(lease, reason);
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
  struct Front {
    EvaluatorActor front;
    std::string worker;
    std::uint32_t credit = 0;  ///< candidates it waits for
  };
  struct Lease {
    std::uint32_t attempt = 0;
    caf::actor_addr evaluator;
    std::string worker;
    bool started = false;
    bool recalled = false;
  };
  struct Test {
    std::string checkpoint;
    std::uint32_t lost = 0;
    bool is_out = false;
  };
  using Fronts = std::map<caf::actor_addr, Front>;
  using Leases = std::map<std::uint64_t, Lease>;

  // --- what has become durable

  void apply(const run::CandidateAccepted& record) {
    search_.apply_candidate(record.candidate);
    making_ = false;
    pump();
  }

  void apply(const run::AttemptLost& record) {
    if (const auto test = tests_.find(record.candidate_id); test != tests_.end()) {
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
    if (record.duration_s > 0) {
      total_duration_s_ += record.duration_s;
      ++durations_;
    }
    if (!record.checkpoint.path.empty()) checkpoints_[id] = record.checkpoint.path;
    for (const auto dropped : commit.left_front) {
      if (auto file = checkpoints_.extract(dropped)) this->record(run::CheckpointDropped{dropped, file.mapped()});
    }
    if (const auto lease = leases_.find(id); lease != leases_.end()) {
      // Where the result came from an expired lease, a later attempt may be under way: nobody needs it any more.
      const auto evaluator = evaluators_.find(lease->second.evaluator);
      if (lease->second.attempt != record.attempt && evaluator != evaluators_.end()) {
        self_->send(evaluator->second.front, revoke_atom_v, id, lease->second.attempt);
      }
      leases_.erase(lease);
    }
    pump();
  }

  void apply(const run::TestRecorded& record) {
    tests_.erase(record.candidate_id);
    leases_.erase(record.candidate_id);
    pump();
  }

  template <class Other>
  void apply(const Other&) {}

  // --- handing out work

  void pump() {
    if (!begun_ || stopped_) return;
    while (search_.has_queued()) {
      const auto evaluator = hungriest();
      if (evaluator == evaluators_.end()) break;
      hand_out(*search_.take(), evaluator);
    }
    if (!search_.has_queued() && hungriest() != evaluators_.end()) make_more();
    if (!search_.finished() || making_ || next_baseline_ != settings_.baselines.size()) return;
    hand_out_tests();
    if (tests_.empty() && !std::exchange(finished_, true)) {
      self_->send(wiring_.control, finished_atom_v, std::string(exhausted_ ? "space exhausted" : "budget"));
    }
  }

  /// The evaluator with credit that holds the fewest leases.
  Fronts::iterator hungriest() {
    auto best = evaluators_.end();
    for (auto each = evaluators_.begin(); each != evaluators_.end(); ++each) {
      if (each->second.credit == 0) continue;
      if (best == evaluators_.end() || held(each->first) < held(best->first)) best = each;
    }
    return best;
  }

  std::size_t held(const caf::actor_addr& evaluator) const {
    return static_cast<std::size_t>(
        std::count_if(leases_.begin(), leases_.end(), [&](const auto& lease) { return lease.second.evaluator == evaluator; }));
  }

  void hand_out(const search::Candidate& candidate, Fronts::iterator evaluator) {
    Job job;
    job.id = candidate.id;
    job.attempt = search_.attempts_used(candidate.id) + 1;
    job.training_seed = derive_seed(settings_.search.breeding.seed, Purpose::training_seed, candidate.id);
    job.genome = candidate.genome;
    lease(std::move(job), evaluator);
  }

  void lease(Job job, Fronts::iterator evaluator) {
    leases_[job.id] = {.attempt = job.attempt, .evaluator = evaluator->first, .worker = evaluator->second.worker};
    --evaluator->second.credit;
    self_->send(evaluator->second.front, lease_atom_v, std::move(job));
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
      const auto evaluator = hungriest();
      if (evaluator == evaluators_.end()) return;
      test.is_out = true;
      lease({.id = id, .attempt = test.lost + 1, .genome = search_.find(id)->genome, .test_of = test.checkpoint}, evaluator);
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
      recall_for_the_idle();
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
    record(std::move(accepted));
  }

  /// Nothing is left to hand out and somebody would be idle: take a prefetched lease from one who is busy.
  void recall_for_the_idle() {
    if (held(hungriest()->first) > 0) return;
    for (auto& [id, lease] : leases_) {
      if (lease.started || lease.recalled || held(lease.evaluator) < 2) continue;
      const auto evaluator = evaluators_.find(lease.evaluator);
      if (evaluator == evaluators_.end()) continue;
      lease.recalled = true;
      self_->send(evaluator->second.front, recall_atom_v, id);
      return;
    }
  }

  // --- when things go wrong

  void evaluator_down(const caf::actor_addr& address) {
    evaluators_.erase(address);
    std::vector<std::uint64_t> ids;
    for (const auto& [id, lease] : leases_) {
      if (lease.evaluator == address) ids.push_back(id);
    }
    for (const auto id : ids) {
      const auto lease = leases_.find(id);
      if (lease->second.started && !stopped_) {
        lose(lease, "worker lost");
      } else {
        leases_.erase(lease);
        take_back(id);
      }
    }
    pump();
  }

  void lose(Leases::iterator lease, const std::string& reason) {
    run::AttemptLost record;
    record.candidate_id = lease->first;
    record.attempt = lease->second.attempt;
    record.worker = lease->second.worker;
    record.reason = reason;
    record.time_utc = run::now_utc();
    leases_.erase(lease);
    this->record(std::move(record));
  }

  Leases::iterator find_lease(std::uint64_t id, std::uint32_t attempt) {
    const auto lease = leases_.find(id);
    return lease != leases_.end() && lease->second.attempt == attempt ? lease : leases_.end();
  }

  std::chrono::milliseconds deadline() const {
    if (durations_ == 0) return settings_.least_deadline;
    const auto mean_ms = static_cast<std::int64_t>(1000.0 * total_duration_s_ / static_cast<double>(durations_));
    return std::max(settings_.least_deadline, std::chrono::milliseconds(4 * mean_ms));
  }

  void record(run::Record record) { self_->send(wiring_.recorder, record_atom_v, std::make_shared<const run::Record>(std::move(record))); }

  RoleCount count_;
  PopulationActor::pointer self_;
  PopulationSettings settings_;
  PopulationWiring wiring_;
  search::SteadyState search_;
  Fronts evaluators_;
  Leases leases_;
  std::map<std::uint64_t, std::string> checkpoints_;  ///< of the front and the baselines
  std::map<std::uint64_t, Test> tests_;               ///< still to be measured
  std::size_t next_baseline_ = 0;
  double total_duration_s_ = 0;
  std::uint64_t durations_ = 0;
  std::uint32_t killed_in_a_row_ = 0;
  bool begun_ = false;
  bool making_ = false;  ///< a candidate is bred or on its way to disk
  bool exhausted_ = false;
  bool stopped_ = false;
  bool testing_ = false;
  bool finished_ = false;
};

}  // namespace

PopulationActor::behavior_type population(PopulationActor::pointer self, PopulationSettings settings, PopulationWiring wiring) {
  auto role = std::make_shared<PopulationRole>(self, std::move(settings), std::move(wiring));
  return {
      [=](durable_atom, const EntryPtr& entry) { role->durable(entry); },
      [=](demand_atom, const std::string& worker, const EvaluatorActor& front, std::uint32_t credit) {
        role->demand(worker, front, credit);
      },
      [=](started_atom, const std::string&, std::uint64_t id, std::uint32_t attempt) { role->started(id, attempt); },
      [=](returned_atom, const std::string&, std::uint64_t id, std::uint32_t attempt) { role->returned(id, attempt); },
      [=](lost_atom, const std::string&, std::uint64_t id, std::uint32_t attempt, const std::string& reason) {
        role->lost(id, attempt, reason);
      },
      [=](deadline_atom, std::uint64_t id, std::uint32_t attempt) { role->deadline_passed(id, attempt); },
      [=](begin_atom) { role->begin(); },
      [=](stop_atom) { role->stop(); },
  };
}

}  // namespace starling::actors
