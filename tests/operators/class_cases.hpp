// The operator classes at test sizes: configuration, sharing strategies, reference.
#pragma once

#include <string>
#include <vector>

#include <starling/operators/config.hpp>

#include "reference.hpp"

namespace starling::operators {

struct ClassCase {
  Config config;
  std::vector<std::vector<std::string>> shared;  ///< the groups a reader takes, one entry per sharing strategy
  bool generic = false;                          ///< its reference is made from the configuration, not by name

  GroupMask mask(const std::vector<std::string>& groups) const;
  GroupMask all() const { return (GroupMask{1} << config.groups.size()) - 1; }
  reference::Matrix reference(const reference::Matrix& x, const reference::Weights& weights, reference::Features& features) const;
};

/// The differential of a class; softmax splits its heads, the others have twice the groups that modulate.
ClassCase differential_of(ClassCase base);

/// Classes of no catalogue: every sparsity, nonlinearity and channel mixing, and groups made in every way.
std::vector<ClassCase> generic_cases(std::int64_t width);

/// The classes that operators realise, under their names in the catalogue, at a width that is a multiple of 16.
std::vector<ClassCase> class_cases(std::int64_t width);

}  // namespace starling::operators
