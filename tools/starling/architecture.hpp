// An architecture as people read it: one letter per LIV, and who shares what with whom.
#pragma once

#include <string>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/genome/plan.hpp>

namespace starling::tools {

/// 'A', 'R', 'C', 'M'.
char family_letter(genome::Family family);
/// The escape sequence that begins its colour.
const char* family_colour(genome::Family family);

/// One letter per LIV, by family: "AM(RM~)CM"; in parentheses what runs in parallel, ~ behind what is routed.
std::string strip(const genome::Catalogue& catalogue, const genome::Genome& genome);
/// What the letters of strips mean.
std::string strip_legend();
/// "attention", "recurrence", …
std::string family_name(genome::Family family);

/// "k v": the names of the groups in a mask.
std::string group_names(const genome::Featurizer& featurizer, genome::GroupMask mask);

}  // namespace starling::tools
