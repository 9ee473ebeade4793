// Breeding as pure functions of (snapshot, seed, index, attempt): the same arguments give the same child, whenever they
// are called.
#pragma once

#include <cstdint>
#include <vector>

#include <starling/genome/variation.hpp>
#include <starling/search/candidate.hpp>
#include <starling/search/population.hpp>

namespace starling::search {

struct Breeding {
  Algorithm algorithm = Algorithm::nsga2;
  std::uint64_t seed = 1;
  std::size_t population = 16;
  int tournament = 3;
  int crossover_points = 2;
  double mutation = 0.1;
  genome::Space space;
};

/// Throws UserError where a value is out of its range or no genome of the space is legal. The functions below rely on
/// it.
void require_breedable(const Breeding& breeding);

/// What breeding starts from: one or two parents, or none for a random genome.
struct Parents {
  std::vector<Member> members;
};

/// Tournament by (rank, crowding, keyed coin) among the snapshot's members; two distinct parents where there are two
/// members. No parents where the snapshot is empty or the algorithm is `random`.
Parents select_parents(const Breeding& breeding, const Snapshot& snapshot, std::uint64_t index, std::uint32_t attempt);

/// Crossover, mutation, repair, canonical form; a random genome where there are no parents. Fills everything of the
/// candidate but its id and generation. Equal parents (or one) give a mutation, else a crossover.
Candidate make_child(const Breeding& breeding, const Parents& parents, std::uint64_t index, std::uint32_t attempt);

}  // namespace starling::search
