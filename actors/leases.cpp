#include <starling/actors/leases.hpp>

#include <algorithm>
#include <utility>

namespace starling::actors {

Leases::Leases(PopulationActor::pointer self, Wiring wiring, std::chrono::milliseconds least_deadline, Owner owner)
    : self_(self), wiring_(std::move(wiring)), least_deadline_(least_deadline), owner_(std::move(owner)) {
  self_->set_down_handler([this](caf::down_msg& message) { evaluator_down(message.source); });
}

void Leases::demand(const std::string& worker, const std::string& device, const EvaluatorActor& front, std::uint32_t credit) {
  auto [entry, is_new] = evaluators_.try_emplace(caf::actor_cast<caf::actor_addr>(front));
  if (is_new) {
    entry->second = {.front = front, .worker = worker, .device = device};
    self_->monitor(front);
    if (stopped_) self_->send(front, stop_atom_v);
  }
  entry->second.credit += credit;
  owner_.pump();
}

void Leases::started(std::uint64_t id, std::uint32_t attempt) {
  const auto lease = find(id, attempt);
  if (lease == leases_.end()) return;
  const auto within = deadline();
  lease->second.started = true;
  lease->second.due = self_->clock().now() + within;
  self_->delayed_send(self_, within, deadline_atom_v, id, attempt);
}

void Leases::returned(std::uint64_t id, std::uint32_t attempt) {
  const auto lease = find(id, attempt);
  if (lease == leases_.end() || lease->second.started) return;
  leases_.erase(lease);
  owner_.take_back(id);
  owner_.pump();
}

void Leases::lost(std::uint64_t id, std::uint32_t attempt, const std::string& reason) {
  const auto lease = find(id, attempt);
  if (lease == leases_.end()) return;
  lose(lease, reason);
}

void Leases::deadline_passed(std::uint64_t id, std::uint32_t attempt) {
  const auto lease = find(id, attempt);
  // A test of a candidate has the number that an attempt at its training had: that deadline is not its own.
  if (lease == leases_.end() || !lease->second.started || self_->clock().now() < lease->second.due) return;
  const std::string reason = "deadline passed";
  if (const auto evaluator = evaluators_.find(lease->second.evaluator); evaluator != evaluators_.end()) {
    self_->send(evaluator->second.front, revoke_atom_v, id, attempt);
    self_->send(wiring_.control, kill_atom_v, evaluator->second.worker, reason);
  }
  lose(lease, reason);
}

bool Leases::wanted() const {
  return std::any_of(evaluators_.begin(), evaluators_.end(), [](const auto& each) { return each.second.credit > 0; });
}

bool Leases::wanted(std::uint64_t id) const { return hungriest(id) != evaluators_.end(); }

void Leases::hand_out(Job job) {
  const auto evaluator = evaluators_.find(hungriest(job.id)->first);
  leases_[job.id] = {
      .attempt = job.attempt, .evaluator = evaluator->first, .worker = evaluator->second.worker, .device = evaluator->second.device};
  --evaluator->second.credit;
  self_->send(evaluator->second.front, lease_atom_v, std::move(job));
}

void Leases::settle(std::uint64_t id, std::uint32_t attempt) {
  const auto lease = leases_.find(id);
  if (lease == leases_.end()) return;
  const auto evaluator = evaluators_.find(lease->second.evaluator);
  if (lease->second.attempt != attempt && evaluator != evaluators_.end()) {
    self_->send(evaluator->second.front, revoke_atom_v, id, lease->second.attempt);
  }
  if (lease->second.attempt == attempt) {
    for (auto& [other, devices] : lost_on_) devices.erase(lease->second.device);
  }
  lost_on_.erase(id);
  leases_.erase(lease);
}

void Leases::took(double seconds) {
  if (!(seconds > 0)) return;
  total_duration_s_ += seconds;
  ++durations_;
}

void Leases::recall_for_the_idle() {
  const auto idle = hungriest();
  if (held(idle->first) > 0) return;
  for (auto& [id, lease] : leases_) {
    if (lease.started || lease.recalled || held(lease.evaluator) < 2 || avoids(idle->second.device, id)) continue;
    const auto evaluator = evaluators_.find(lease.evaluator);
    if (evaluator == evaluators_.end()) continue;
    lease.recalled = true;
    self_->send(evaluator->second.front, recall_atom_v, id);
    return;
  }
}

void Leases::give_up(const std::string& device) {
  wiring_.devices.erase(device);
  owner_.pump();
}

void Leases::stop() {
  stopped_ = true;
  for (const auto& [address, evaluator] : evaluators_) self_->send(evaluator.front, stop_atom_v);
}

/// Of all that have credit, or of those that `id` may go to.
Leases::Fronts::const_iterator Leases::hungriest(std::optional<std::uint64_t> id) const {
  auto best = evaluators_.end();
  for (auto each = evaluators_.begin(); each != evaluators_.end(); ++each) {
    if (each->second.credit == 0 || (id && avoids(each->second.device, *id))) continue;
    if (best == evaluators_.end() || held(each->first) < held(best->first)) best = each;
  }
  return best;
}

/// Whether an attempt at it was lost on this device, and there is another that it may go to.
bool Leases::avoids(const std::string& device, std::uint64_t id) const {
  const auto lost = lost_on_.find(id);
  if (lost == lost_on_.end() || !lost->second.contains(device)) return false;
  const auto is_other = [&](const std::string& each) { return !lost->second.contains(each); };
  return std::ranges::any_of(wiring_.devices, is_other) ||
         std::ranges::any_of(evaluators_, [&](const auto& each) { return is_other(each.second.device); });
}

std::size_t Leases::held(const caf::actor_addr& evaluator) const {
  return static_cast<std::size_t>(
      std::count_if(leases_.begin(), leases_.end(), [&](const auto& lease) { return lease.second.evaluator == evaluator; }));
}

Leases::Table::iterator Leases::find(std::uint64_t id, std::uint32_t attempt) {
  const auto lease = leases_.find(id);
  return lease != leases_.end() && lease->second.attempt == attempt ? lease : leases_.end();
}

void Leases::evaluator_down(const caf::actor_addr& address) {
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
      owner_.take_back(id);
    }
  }
  owner_.pump();
}

void Leases::lose(Table::iterator lease, const std::string& reason) {
  run::AttemptLost record;
  record.candidate_id = lease->first;
  record.attempt = lease->second.attempt;
  record.worker = lease->second.worker;
  record.reason = reason;
  record.time_utc = run::now_utc();
  lost_on_[lease->first].insert(lease->second.device);
  leases_.erase(lease);
  self_->send(wiring_.recorder, record_atom_v, std::make_shared<const run::Record>(std::move(record)));
}

std::chrono::milliseconds Leases::deadline() const {
  if (durations_ == 0) return least_deadline_;
  const auto mean_ms = static_cast<std::int64_t>(1000.0 * total_duration_s_ / static_cast<double>(durations_));
  return std::max(least_deadline_, std::chrono::milliseconds(deadline_factor * mean_ms));
}

}  // namespace starling::actors
