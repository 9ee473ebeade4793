// An architecture as people read it: one letter per LIV, and who shares what with whom.
#pragma once

#include <string>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/genome/plan.hpp>

namespace starling::tools {

/// One letter per LIV, by family: "AMRMCM".
std::string strip(const genome::Catalogue& catalogue, const genome::Genome& genome);
/// What the letters of strips mean.
std::string strip_legend();
/// "attention", "recurrence", …
std::string family_name(genome::Family family);

/// "k v": the names of the groups in a mask.
std::string group_names(const genome::Featurizer& featurizer, genome::GroupMask mask);

}  // namespace starling::tools
