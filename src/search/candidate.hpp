// What the search knows of one candidate and of its evaluation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <starling/genome/genome.hpp>
#include <starling/genome/variation.hpp>

namespace starling::search {

enum class Origin : std::uint8_t { random, crossover, mutation, baseline, user };
enum class Status : std::uint8_t { ok, diverged, infeasible, killed, superseded };

std::string to_string(Origin origin);
std::string to_string(Status status);

/// A genome that was accepted for evaluation. Ids start at 1 and are given in the order of acceptance.
struct Candidate {
  std::uint64_t id = 0;
  std::uint64_t index = 0;    ///< breeding index, 0 for baselines; with (seed, attempt) it names the random streams
  std::uint32_t attempt = 0;  ///< how many proposals of this index were refused as seen before
  Origin origin = Origin::random;
  std::string name;                    ///< of a baseline; "" otherwise
  genome::Genome genome;               ///< canonical
  std::uint64_t hash = 0;              ///< phenotype hash
  std::vector<std::uint64_t> parents;  ///< ids, first the one whose genes come first
  double generation = 0;               ///< evaluations committed when it was bred / population size
  genome::Repairs repairs;
  std::int32_t changed_genes = 0;  ///< against the first parent
};

/// How a candidate ended, as the search sees it.
struct Outcome {
  std::uint64_t id = 0;
  Status status = Status::ok;
  std::vector<double> objectives;  ///< minimised, in the order of the experiment; empty unless ok
};

}  // namespace starling::search
