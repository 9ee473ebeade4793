// Survivors of the search and what they are worth to selection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/search/candidate.hpp>
#include <starling/search/pareto.hpp>

namespace starling::search {

/// What a member is, apart from its place among the others; never changes and is shared by all pictures of the
/// population.
struct Individual {
  std::uint64_t id = 0;
  genome::Genome genome;
  std::vector<double> objectives;
};

struct Member {
  std::shared_ptr<const Individual> individual;
  std::uint32_t rank = 0;
  double crowding = 0;

  std::uint64_t id() const { return individual->id; }
  const genome::Genome& genome() const { return individual->genome; }
  const std::vector<double>& objectives() const { return individual->objectives; }
};

/// Immutable picture of the committed population that breeding works from.
struct Snapshot {
  std::vector<Member> members;
  std::uint64_t committed = 0;  ///< evaluations that counted when the picture was taken
};

enum class Algorithm : std::uint8_t { nsga2, random };

/// The (μ+1) steady-state population of NSGA-II (Nebro & Durillo 2009): insert, sort, delete the most crowded member of
/// the last front with the crowding of that front recomputed after each removal. Ties are broken by a stream keyed with
/// (seed, survival, number of the insertion), preferring to keep rarer objective vectors; among copies of one vector
/// the draw is even. `random` keeps the same survivors; only breeding differs.
///
/// Ranks are updated level by level (Li, Deb, Zhang & Yao 2014) and the order by each objective is kept, so that an
/// insertion sorts nothing: O(M N) but for the rare one that shifts many fronts.
class Population {
 public:
  Population(std::size_t capacity, std::size_t objectives, std::uint64_t seed);

  /// What an insertion did: the id that had to leave, if any (may be the new one itself).
  struct Change {
    std::optional<std::uint64_t> removed;
  };
  /// Objectives are finite, as many as the population has; ids are different.
  Change insert(Individual individual);

  std::size_t size() const { return members_.size(); }
  std::size_t capacity() const { return capacity_; }
  /// Members with rank and crowding up to date, in no particular order (a newcomer takes the place of who left).
  /// Crowding is crowding_distance() of each front in order of id.
  const std::vector<Member>& members() const { return members_; }

 private:
  void add(Individual individual);
  void remove(std::size_t position);
  void rank_newest();
  std::size_t victim(Stream stream) const;
  std::vector<std::size_t> rank_begins() const;
  std::vector<std::size_t> split(const std::vector<std::size_t>& order, std::vector<std::size_t> begins) const;
  void update_crowding();

  std::size_t capacity_;
  std::size_t objectives_;
  std::uint64_t seed_;
  std::uint64_t insertions_ = 0;
  std::vector<Member> members_;
  Points points_;                                 ///< objectives by position of the member
  std::vector<std::vector<std::size_t>> orders_;  ///< of each objective: positions by (value, id)
};

}  // namespace starling::search
