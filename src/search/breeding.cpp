#include <starling/search/breeding.hpp>

#include <cassert>

#include <starling/base/error.hpp>
#include <starling/genome/validity.hpp>

namespace starling::search {
namespace {

bool is_better(const Member& a, const Member& b) { return a.rank != b.rank ? a.rank < b.rank : a.crowding > b.crowding; }

/// The best of `rounds` members drawn evenly with replacement, ties decided evenly; `excluded` (a position, or the
/// number of members for none) is never drawn.
std::size_t tournament(const std::vector<Member>& members, int rounds, std::size_t excluded, Stream& stream) {
  const bool excludes = excluded < members.size();
  const auto draw = [&] {
    const auto position = static_cast<std::size_t>(stream.below(members.size() - (excludes ? 1 : 0)));
    return excludes && position >= excluded ? position + 1 : position;
  };
  std::size_t best = draw();
  std::uint64_t equals = 1;
  for (int round = 1; round < rounds; ++round) {
    const auto challenger = draw();
    if (is_better(members[challenger], members[best])) {
      best = challenger;
      equals = 1;
    } else if (!is_better(members[best], members[challenger]) && stream.below(++equals) == 0) {
      best = challenger;
    }
  }
  return best;
}

/// A parent's genes, crossed and mutated.
genome::Genome varied(const Breeding& breeding, const std::vector<Member>& parents, bool crossed, std::uint64_t index,
                      std::uint32_t attempt) {
  auto genes = parents[0].genome();
  if (crossed) {
    Stream stream(breeding.seed, Purpose::crossover, index, attempt);
    genes = genome::crossover(breeding.space, genes, parents[1].genome(), breeding.crossover_points, stream);
  }
  Stream stream(breeding.seed, Purpose::mutation, index, attempt);
  return genome::mutate(breeding.space, genes, breeding.mutation, stream);
}

}  // namespace

void require_breedable(const Breeding& breeding) {
  genome::require_searchable(breeding.space);
  if (breeding.population < 1) throw UserError("the population needs at least one member");
  if (breeding.tournament < 1) throw UserError("a tournament needs at least one round, found " + std::to_string(breeding.tournament));
  if (!(breeding.mutation >= 0 && breeding.mutation <= 1)) {
    throw UserError("the mutation probability " + std::to_string(breeding.mutation) + " is not in 0 … 1");
  }
  const auto genes = static_cast<std::int64_t>(genome::searched_genes(breeding.space).size() * breeding.space.depth);
  if (breeding.crossover_points < 0 || breeding.crossover_points >= genes) {
    throw UserError("crossover at " + std::to_string(breeding.crossover_points) + " points: " + std::to_string(breeding.space.depth) +
                    " LIVs have " + std::to_string(genes) + " genes, so that there are 0 … " + std::to_string(genes - 1));
  }
}

Parents select_parents(const Breeding& breeding, const Snapshot& snapshot, std::uint64_t index, std::uint32_t attempt) {
  if (snapshot.members.empty() || breeding.algorithm == Algorithm::random) return {};
  const auto& members = snapshot.members;
  Stream stream(breeding.seed, Purpose::parents, index, attempt);
  const auto first = tournament(members, breeding.tournament, members.size(), stream);
  if (members.size() == 1) return {{members[first]}};
  const auto second = tournament(members, breeding.tournament, first, stream);
  return {{members[first], members[second]}};
}

Candidate make_child(const Breeding& breeding, const Parents& parents, std::uint64_t index, std::uint32_t attempt) {
  const auto& members = parents.members;
  assert(members.size() <= 2);
  const auto& catalogue = *breeding.space.catalogue;
  Candidate child;
  child.index = index;
  child.attempt = attempt;
  if (members.empty()) {
    Stream stream(breeding.seed, Purpose::sample, index, attempt);
    child.origin = Origin::random;
    child.genome = genome::canonical(catalogue, genome::sample(breeding.space, stream, &child.repairs));
  } else {
    const bool crossed = members.size() == 2 && members[0].genome() != members[1].genome();
    child.origin = crossed ? Origin::crossover : Origin::mutation;
    Stream stream(breeding.seed, Purpose::repair, index, attempt);
    auto genes = genome::repair(breeding.space, varied(breeding, members, crossed, index, attempt), stream, &child.repairs);
    child.genome = genome::canonical(catalogue, genes);
    child.changed_genes = genome::distance(members[0].genome(), child.genome);
    for (std::size_t i = 0; i < (crossed ? 2u : 1u); ++i) child.parents.push_back(members[i].id());
  }
  child.hash = genome::phenotype_hash(catalogue, child.genome);
  return child;
}

}  // namespace starling::search
