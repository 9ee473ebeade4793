#include <starling/actors/errands.hpp>

#include <algorithm>
#include <utility>

#include <starling/actors/leases.hpp>
#include <starling/actors/role_count.hpp>

namespace starling::actors {
namespace {

class ErrandsRole {
 public:
  ErrandsRole(PopulationActor::pointer self, ErrandSettings settings, ErrandWiring wiring)
      : self_(self),
        settings_(std::move(settings)),
        wiring_(std::move(wiring)),
        leases_(self, {wiring_.recorder, wiring_.control, settings_.devices}, settings_.least_deadline,
                {[this](std::uint64_t id) { take_back(id); }, [this] { pump(); }}) {
    for (auto& job : settings_.jobs) errands_.push_back({std::move(job)});
    self_->send(wiring_.recorder, listen_atom_v, caf::actor_cast<ListenerActor>(self_));
  }

  Leases& leases() { return leases_; }

  void begin() {
    begun_ = true;
    pump();
  }

  void durable(const EntryPtr& entry) {
    std::visit([this](const auto& record) { apply(record); }, entry->record);
  }

 private:
  struct Errand {
    Job job;
    std::uint32_t lost = 0;
    bool is_out = false;
  };
  using Errands = std::vector<Errand>;

  void apply(const run::EvaluationRecorded& record) {
    if (record.outcome.status == search::Status::superseded) return;
    trained(find(record.outcome.id, 0, false), record);
  }

  void apply(const run::RetrainingRecorded& record) {
    if (record.evaluation.outcome.status == search::Status::superseded) return;
    trained(find(record.evaluation.outcome.id, record.asked_tokens, false), record.evaluation);
  }

  void apply(const run::TestRecorded& record) {
    const auto errand = find(record.candidate_id, record.asked_tokens, true);
    if (errand == errands_.end()) return;
    leases_.settle(record.candidate_id, errand->job.attempt);
    errands_.erase(errand);
    pump();
  }

  void apply(const run::AttemptLost& record) {
    const auto errand = std::ranges::find(errands_, record.candidate_id, [](const Errand& each) { return each.job.id; });
    // A worker that ended right behind its result: the attempt that was lost is that of a training, which is over, and not of the test.
    if (errand == errands_.end() || leases_.holds(record.candidate_id)) return;
    errand->is_out = false;
    ++errand->job.attempt;
    if (++errand->lost == settings_.attempts) {
      if (errand->job.test_of.empty()) return record_killed(errand->job, record);
      errands_.erase(errand);
    }
    pump();
  }

  void apply(const run::DeviceGivenUp& record) { leases_.give_up(record.device); }

  template <class Other>
  void apply(const Other&) {}

  /// A training is over: what is left of its errand is the test.
  void trained(Errands::iterator errand, const run::EvaluationRecorded& record) {
    if (errand == errands_.end()) return;
    leases_.settle(record.outcome.id, record.attempt);
    leases_.took(record.duration_s);
    killed_in_a_row_ = record.outcome.status == search::Status::killed ? killed_in_a_row_ + 1 : 0;
    if (killed_in_a_row_ == settings_.give_up_after) {
      finish(std::to_string(killed_in_a_row_) + " trainings in a row could not be done; the last: " + record.reason);
    }
    if (settings_.test && !record.checkpoint.path.empty()) {
      auto& job = errand->job;
      job.attempt = 1;
      job.test_of = record.checkpoint.path;
      *errand = {std::move(job)};
    } else {
      errands_.erase(errand);
    }
    pump();
  }

  void record_killed(const Job& job, const run::AttemptLost& lost) {
    run::EvaluationRecorded killed;
    killed.outcome = {.id = job.id, .status = search::Status::killed, .objectives = {}};
    killed.attempt = lost.attempt;
    killed.reason = lost.reason;
    killed.worker = lost.worker;
    killed.training_seed = job.training_seed;
    killed.started_utc = lost.time_utc;
    const auto record =
        job.tokens > 0 ? run::Record{run::RetrainingRecorded{job.tokens, std::move(killed)}} : run::Record{std::move(killed)};
    self_->send(wiring_.recorder, record_atom_v, std::make_shared<const run::Record>(record));
  }

  Errands::iterator find(std::uint64_t id, std::int64_t tokens, bool test) {
    return std::ranges::find_if(
        errands_, [&](const Errand& each) { return each.job.id == id && each.job.tokens == tokens && each.job.test_of.empty() != test; });
  }

  void take_back(std::uint64_t id) {
    const auto errand = std::ranges::find(errands_, id, [](const Errand& each) { return each.job.id; });
    if (errand != errands_.end()) errand->is_out = false;
  }

  void pump() {
    if (!begun_ || leases_.stopped()) return;
    for (auto& errand : errands_) {
      if (errand.is_out || errand.lost == settings_.attempts) continue;
      if (!leases_.wanted(errand.job.id)) continue;
      errand.is_out = true;
      leases_.hand_out(errand.job);
    }
    if (errands_.empty()) {
      finish("done");
    } else if (leases_.wanted()) {
      leases_.recall_for_the_idle();
    }
  }

  void finish(std::string reason) {
    if (!std::exchange(finished_, true)) self_->send(wiring_.control, finished_atom_v, std::move(reason));
  }

  RoleCount count_;
  PopulationActor::pointer self_;
  ErrandSettings settings_;
  ErrandWiring wiring_;
  Leases leases_;
  Errands errands_;
  std::uint32_t killed_in_a_row_ = 0;
  bool begun_ = false;
  bool finished_ = false;
};

}  // namespace

std::chrono::milliseconds least_deadline_of_errands(std::chrono::milliseconds of_search, std::int64_t tokens_of_search,
                                                    const std::vector<Job>& jobs, const std::vector<run::JournalEntry>& earlier) {
  constexpr double most = 1e6 * 60'000;
  double total_s = 0, count = 0;
  for (const auto& entry : earlier) {
    const auto* evaluation = std::get_if<run::EvaluationRecorded>(&entry.record);
    if (evaluation == nullptr || evaluation->outcome.status != search::Status::ok) continue;
    total_s += evaluation->duration_s;
    ++count;
  }
  double longer = 1;
  for (const auto& job : jobs) longer = std::max(longer, static_cast<double>(job.tokens) / static_cast<double>(tokens_of_search));
  const auto least = static_cast<double>(of_search.count());
  const auto needed = std::max(least, count > 0 ? deadline_factor * 1000 * total_s / count : 0);
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(longer * needed, std::max(most, least))));
}

PopulationActor::behavior_type errands(PopulationActor::pointer self, ErrandSettings settings, ErrandWiring wiring) {
  return leasing_behavior(std::make_shared<ErrandsRole>(self, std::move(settings), std::move(wiring)));
}

}  // namespace starling::actors
