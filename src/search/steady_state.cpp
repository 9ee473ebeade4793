#include <starling/search/steady_state.hpp>

#include <algorithm>
#include <cmath>
#include <string>

#include <starling/base/error.hpp>

namespace starling::search {
namespace {

const SteadyState::Settings& checked(const SteadyState::Settings& settings) {
  require_breedable(settings.breeding);
  if (settings.objectives < 1) throw UserError("a search needs at least one objective");
  if (settings.attempts < 1) throw UserError("a candidate needs at least one attempt");
  return settings;
}

bool all_finite(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

}  // namespace

SteadyState::SteadyState(Settings settings)
    : settings_(checked(settings)),
      population_(settings_.breeding.population, settings_.objectives, settings_.breeding.seed),
      front_points_(settings_.objectives) {}

std::shared_ptr<const Snapshot> SteadyState::snapshot() const {
  if (snapshot_ == nullptr) {
    const bool cohort_is_out = final_count_ < population_.capacity();
    snapshot_ = std::make_shared<const Snapshot>(Snapshot{cohort_is_out ? std::vector<Member>{} : population_.members(), final_count_});
  }
  return snapshot_;
}

Candidate SteadyState::accept(Candidate proposal) const {
  proposal.id = next_id_;
  proposal.generation = static_cast<double>(final_count_) / static_cast<double>(population_.capacity());
  return proposal;
}

void SteadyState::apply_candidate(const Candidate& candidate) {
  if (candidate.id != next_id_) {
    throw Failure("candidate " + std::to_string(candidate.id) + " accepted where " + std::to_string(next_id_) + " was the next");
  }
  ++next_id_;
  ++unfinished_;
  if (candidate.origin != Origin::baseline) {
    ++bred_;
    next_index_ = candidate.index + 1;
    seen_.insert(candidate.hash);
  }
  entries_[candidate.id].candidate = candidate;
  queue_.insert(candidate.id);
}

bool SteadyState::apply_lost_attempt(std::uint64_t id) {
  auto& lost = entry(id, "lost attempt");
  if (lost.place == Place::final) return true;
  ++lost.lost;
  const bool again = lost.lost < settings_.attempts;
  move(lost, again ? Place::queued : Place::out_of_attempts);
  return again;
}

SteadyState::Commit SteadyState::apply_outcome(const Outcome& outcome) {
  auto& ended = entry(outcome.id, "outcome");
  if (ended.place == Place::final || outcome.status == Status::superseded) return {};
  const bool ok = outcome.status == Status::ok;
  if (ok && outcome.objectives.size() != settings_.objectives) {
    throw Failure("outcome of candidate " + std::to_string(outcome.id) + " has " + std::to_string(outcome.objectives.size()) +
                  " objectives where the search has " + std::to_string(settings_.objectives));
  }
  Commit commit;
  commit.counted = true;
  move(ended, Place::final);
  --unfinished_;
  if (ended.candidate.origin == Origin::baseline) return commit;
  ++final_count_;
  snapshot_ = nullptr;
  if (!ok) return commit;
  if (!all_finite(outcome.objectives)) {
    commit.left_front.push_back(outcome.id);
    return commit;
  }
  commit.removed = population_.insert({outcome.id, ended.candidate.genome, outcome.objectives}).removed;
  commit.entered = commit.removed != outcome.id;
  if (!commit.entered) commit.removed.reset();
  update_front(outcome, commit);
  return commit;
}

std::optional<Candidate> SteadyState::take(const std::function<bool(std::uint64_t)>& wanted) {
  const auto found = wanted ? std::ranges::find_if(queue_, wanted) : queue_.begin();
  if (found == queue_.end()) return std::nullopt;
  auto& next = entries_.at(*found);
  move(next, Place::leased);
  return next.candidate;
}

void SteadyState::give_back(std::uint64_t id) {
  auto& returned = entry(id, "return");
  if (returned.place == Place::leased) move(returned, Place::queued);
}

bool SteadyState::is_final(std::uint64_t id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.place == Place::final;
}

std::uint32_t SteadyState::attempts_used(std::uint64_t id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? 0 : found->second.lost;
}

const Candidate* SteadyState::find(std::uint64_t id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.candidate;
}

std::vector<std::uint64_t> SteadyState::out_of_attempts() const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, candidate] : entries_) {
    if (candidate.place == Place::out_of_attempts) ids.push_back(id);
  }
  std::ranges::sort(ids);
  return ids;
}

SteadyState::Entry& SteadyState::entry(std::uint64_t id, const char* what) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) throw Failure(std::string(what) + " of candidate " + std::to_string(id) + ", which was never accepted");
  return found->second;
}

void SteadyState::move(Entry& entry, Place place) {
  const auto id = entry.candidate.id;
  if (entry.place == Place::queued) queue_.erase(id);
  if (entry.place == Place::leased) --leased_;
  if (place == Place::queued) queue_.insert(id);
  if (place == Place::leased) ++leased_;
  entry.place = place;
}

std::vector<std::uint64_t> SteadyState::front() const {
  auto ids = front_;
  std::ranges::sort(ids);
  return ids;
}

void SteadyState::update_front(const Outcome& outcome, Commit& commit) {
  // Downwards: what takes the place of one that leaves has been looked at. Whoever is dominated by a point of the front
  // dominates none of it.
  for (std::size_t i = front_.size(); i-- > 0;) {
    if (dominates(front_points_[i], outcome.objectives)) {
      commit.left_front.push_back(outcome.id);
      return;
    }
    if (!dominates(outcome.objectives, front_points_[i])) continue;
    commit.left_front.push_back(front_[i]);
    front_[i] = front_.back();
    front_.pop_back();
    front_points_.remove(i);
  }
  front_.push_back(outcome.id);
  front_points_.add(outcome.objectives);
}

}  // namespace starling::search
