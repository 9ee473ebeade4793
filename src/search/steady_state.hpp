// The state of a steady-state search as a pure function of its journal: candidates accepted, attempts lost, outcomes, in the order they became durable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <starling/search/breeding.hpp>
#include <starling/search/candidate.hpp>
#include <starling/search/population.hpp>

namespace starling::search {

/// Owns members, archive, the seen set and the queue of work. Knows no clock, no thread and no message: the population actor drives it.
///
/// Life of a candidate: next_index() is bred → accept() (durable) → queued → take() → committed or attempt_lost() → queued again …
/// With fewer final results than the population's size, breeding yields random genomes (the initial cohort and the extra ones that keep
/// idle workers busy); after that children of the members.
class SteadyState {
 public:
  struct Settings {
    Breeding breeding;
    std::size_t objectives = 2;
    std::uint64_t evaluations = 48;  ///< final candidates that end the search, baselines not counted
    std::uint32_t attempts = 3;      ///< after that many lost attempts a candidate is `killed`
  };

  explicit SteadyState(Settings settings);

  // --- breeding
  /// Whether another candidate should be bred: budget not handed out yet.
  bool wants_candidate() const;
  std::uint64_t next_index() const { return next_index_; }
  /// The committed members, or an empty picture while the initial cohort is out.
  std::shared_ptr<const Snapshot> snapshot() const;
  /// Evaluated or in flight already (by phenotype hash).
  bool seen(std::uint64_t hash) const;
  /// Gives the proposal its id and generation. The caller makes it durable and then calls apply_candidate().
  Candidate accept(Candidate proposal) const;

  // --- what changes the state; call in journal order
  void apply_candidate(const Candidate& candidate);
  /// One attempt of a candidate was lost. True: queued again; false: no attempts are left and the caller must record it as killed.
  bool apply_lost_attempt(std::uint64_t id);
  /// The first outcome of an id counts; later ones change nothing. True where it counted.
  struct Commit {
    bool counted = false;
    bool entered = false;                  ///< the population took it
    std::optional<std::uint64_t> removed;  ///< member that left
    std::vector<std::uint64_t> left_front; ///< ids that are no longer on the archive's front (the new one too, if it is dominated)
  };
  Commit apply_outcome(const Outcome& outcome);

  // --- work
  /// Next candidate to lease: re-queued ones first, then in order of id.
  std::optional<Candidate> take();
  /// A lease that was not started comes back; it costs no attempt.
  void give_back(std::uint64_t id);
  bool has_queued() const { return !queue_.empty(); }
  bool is_final(std::uint64_t id) const;
  std::uint32_t attempts_used(std::uint64_t id) const;
  const Candidate* find(std::uint64_t id) const;

  // --- where it stands
  bool finished() const;  ///< the budget is used up and every candidate is final
  std::uint64_t final_count() const { return final_count_; }  ///< baselines not counted
  const Population& population() const { return population_; }
  /// Ids of the non-dominated outcomes of the whole run, baselines excluded.
  std::vector<std::uint64_t> front() const;
  const Settings& settings() const { return settings_; }

 private:
  struct Entry {
    Candidate candidate;
    std::uint32_t lost = 0;
    std::optional<Outcome> outcome;
  };

  Settings settings_;
  Population population_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<std::uint64_t> queue_;
  std::vector<std::uint64_t> front_;
  std::uint64_t next_index_ = 1;
  std::uint64_t next_id_ = 1;
  std::uint64_t bred_ = 0;
  std::uint64_t final_count_ = 0;
  std::uint64_t unfinished_ = 0;
};

}  // namespace starling::search
