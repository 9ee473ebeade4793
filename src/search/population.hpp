// Survivors of the search and what they are worth to selection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <starling/search/candidate.hpp>

namespace starling::search {

struct Member {
  std::uint64_t id = 0;
  genome::Genome genome;
  std::vector<double> objectives;
  std::uint32_t rank = 0;
  double crowding = 0;
};

/// Immutable picture of the committed population that breeding works from.
struct Snapshot {
  std::vector<Member> members;
  std::uint64_t committed = 0;  ///< evaluations that counted when the picture was taken
};

enum class Algorithm : std::uint8_t { nsga2, random };

/// The (μ+1) steady-state population of NSGA-II (Nebro & Durillo 2009): insert, sort, delete the most crowded member of the last front with the
/// crowding of that front recomputed after each removal. Ties are broken by a stream keyed with (seed, survival, number of the insertion),
/// preferring to keep rarer objective vectors. `random` keeps the same survivors; only breeding differs.
class Population {
 public:
  Population(std::size_t capacity, std::size_t objectives, std::uint64_t seed);

  /// What an insertion did: the id that had to leave, if any (may be the new one itself).
  struct Change {
    std::optional<std::uint64_t> removed;
  };
  Change insert(Member member);

  std::size_t size() const { return members_.size(); }
  std::size_t capacity() const { return capacity_; }
  /// Members with rank and crowding up to date.
  const std::vector<Member>& members() const { return members_; }

 private:
  std::size_t capacity_;
  std::size_t objectives_;
  std::uint64_t seed_;
  std::uint64_t insertions_ = 0;
  std::vector<Member> members_;
};

}  // namespace starling::search
