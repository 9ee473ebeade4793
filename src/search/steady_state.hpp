// The state of a steady-state search as a pure function of its journal: candidates accepted, attempts lost, outcomes,
// in the order they became durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <starling/search/breeding.hpp>
#include <starling/search/candidate.hpp>
#include <starling/search/pareto.hpp>
#include <starling/search/population.hpp>

namespace starling::search {

/// Owns members, archive, the seen set and the queue of work. Knows no clock, no thread and no message: the population
/// actor drives it.
///
/// Life of a candidate: next_index() is bred → accept() (durable) → queued → take() → committed or attempt_lost() →
/// queued again … With fewer final results than the population's size, breeding yields random genomes (the initial
/// cohort and the extra ones that keep idle workers busy); after that children of the members.
///
/// Resume: the apply_… calls in journal order, on a fresh value, rebuild members, archive, seen set, ids and indices.
/// Leases are not journalled: what was out is queued again. What stands in out_of_attempts() then (the journal ended
/// before its end was recorded) must be recorded as killed.
///
/// Baselines are queued and evaluated like candidates, but do not count, enter neither population nor archive, and do
/// not keep the search from finding the same genome.
class SteadyState {
 public:
  struct Settings {
    Breeding breeding;
    std::size_t objectives = 2;
    std::uint64_t evaluations = 48;  ///< final candidates that end the search, baselines not counted
    std::uint32_t attempts = 3;      ///< after that many lost attempts a candidate is `killed`
  };

  /// Throws UserError where the settings allow no search (see require_breedable).
  explicit SteadyState(Settings settings);

  // --- breeding
  /// Whether another candidate should be bred: budget not handed out yet.
  bool wants_candidate() const { return !stopped_ && bred_ < settings_.evaluations; }
  /// The space is exhausted, or the run is asked to end: no further candidate is wanted.
  void stop_breeding() { stopped_ = true; }
  std::uint64_t next_index() const { return next_index_; }
  /// The committed members, or an empty picture while the initial cohort is out. The same object until the next commit.
  std::shared_ptr<const Snapshot> snapshot() const;
  /// Evaluated or in flight already (by phenotype hash), as a candidate of the search.
  bool seen(std::uint64_t hash) const { return seen_.contains(hash); }
  /// Gives the proposal its id and generation. The caller makes it durable and then calls apply_candidate(), before it
  /// accepts another.
  Candidate accept(Candidate proposal) const;

  // --- what changes the state; call in journal order. Throws Failure where the calls contradict each other (a journal
  // of something else).
  void apply_candidate(const Candidate& candidate);
  /// One attempt of a candidate was lost. False: no attempts are left and the caller must record it as killed. True:
  /// queued again (or final already, by a result that overtook the loss).
  bool apply_lost_attempt(std::uint64_t id);
  /// The first outcome of an id counts; later ones change nothing. True where it counted.
  struct Commit {
    bool counted = false;
    bool entered = false;                   ///< the population took it
    std::optional<std::uint64_t> removed;   ///< member that left
    std::vector<std::uint64_t> left_front;  ///< ids that are no longer on the archive's front (the new one too, if it is dominated)
  };
  /// An ok outcome with an objective that is not finite counts, but enters nothing.
  Commit apply_outcome(const Outcome& outcome);

  // --- work
  /// Next candidate to lease of those that `wanted` says yes to, or of all: re-queued ones first, then in order of id.
  std::optional<Candidate> take(const std::function<bool(std::uint64_t)>& wanted = {});
  /// A lease that was not started comes back; it costs no attempt. Nothing happens where the candidate is final or
  /// queued.
  void give_back(std::uint64_t id);
  bool has_queued() const { return !queue_.empty(); }
  /// Candidates that were taken and are neither final, lost nor given back.
  std::size_t leased() const { return leased_; }
  bool is_final(std::uint64_t id) const;
  std::uint32_t attempts_used(std::uint64_t id) const;
  const Candidate* find(std::uint64_t id) const;
  /// Candidates without attempts left whose end is not recorded yet, in order of id.
  std::vector<std::uint64_t> out_of_attempts() const;

  // --- where it stands
  bool finished() const { return !wants_candidate() && unfinished_ == 0; }  ///< the budget is used up and every candidate is final
  std::uint64_t final_count() const { return final_count_; }                ///< baselines not counted
  const Population& population() const { return population_; }
  /// Ids of the non-dominated outcomes of the whole run, baselines excluded, in ascending order. Equal objective
  /// vectors are all kept.
  std::vector<std::uint64_t> front() const;
  const Settings& settings() const { return settings_; }

 private:
  enum class Place : std::uint8_t { queued, leased, out_of_attempts, final };
  struct Entry {
    Candidate candidate;
    std::uint32_t lost = 0;
    Place place = Place::queued;
  };

  Entry& entry(std::uint64_t id, const char* what);
  void move(Entry& entry, Place place);
  void update_front(const Outcome& outcome, Commit& commit);

  Settings settings_;
  Population population_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::unordered_set<std::uint64_t> seen_;
  std::set<std::uint64_t> queue_;  ///< whatever was taken has a lower id than what never was
  std::vector<std::uint64_t> front_;
  Points front_points_;                               ///< of each of front_
  mutable std::shared_ptr<const Snapshot> snapshot_;  ///< null where it is out of date
  std::uint64_t next_index_ = 1;
  std::uint64_t next_id_ = 1;
  std::uint64_t bred_ = 0;
  std::uint64_t final_count_ = 0;
  std::uint64_t unfinished_ = 0;
  std::size_t leased_ = 0;
  bool stopped_ = false;
};

}  // namespace starling::search
