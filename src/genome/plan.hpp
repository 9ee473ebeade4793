// The sharing plan: what a genome means before any weight exists. Canonical form, accounting and the model all read it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

struct LivPlan {
  const LivClass* liv_class = nullptr;
  const Featurizer* featurizer = nullptr;          ///< of that class
  std::shared_ptr<const ClassDefinition> derived;  ///< where segments make the class: owns both
  std::size_t weight_owner = 0;                    ///< LIV whose featurizer bank is used; itself where nothing is shared
  std::size_t feature_owner = 0;                   ///< LIV whose features are read; itself where it reads none
  GroupMask reads = 0;                             ///< groups read from feature_owner
  GroupMask computes = 0;                          ///< all the other groups of its featurizer
  GroupMask bank = 0;                              ///< groups its own bank holds: those that any who use it compute; 0 where it has none
  std::size_t path_first = 0;                      ///< first LIV of its path group; itself where it is sequential
  std::size_t path_size = 1;                       ///< LIVs of its path group, which follow each other
  bool routed = false;
  bool path_routed = false;  ///< it, or another LIV of its path group

  /// Classes are compared by what they are, not by where they stand.
  bool operator==(const LivPlan& other) const;
};

struct Plan {
  std::vector<LivPlan> livs;  ///< without the empty ones: whoever counts LIVs counts these

  /// Equal plans of one catalogue are equal phenotypes.
  bool operator==(const Plan&) const = default;
};

/// Classes are in normal form (segments.hpp). Groups are per (class, kind of sharing, id); members are the LIVs with strategy ≥ 2; the
/// first in depth order owns, later ones read or share. The owner's own strategy reads nothing. Members of one path group may read each
/// other: depth order says who owns. Where features are weights (B and C of a state space), to read them from a LIV is to read them from
/// all with its weights: who shares its weights anyway reads nothing, and the first of them that reads nothing stands for the owner.
/// `genome` must be valid for the catalogue.
Plan make_plan(const Catalogue& catalogue, const Genome& genome);

}  // namespace starling::genome
