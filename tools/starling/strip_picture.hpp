// An architecture drawn in a few lines of text.
#pragma once

#include <string>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::tools {

/// From left to right in depth, one cell per LIV: the letter of its family and the number of its class. What runs in parallel stands
/// in one column, "~" marks what is routed. Below it one line per sharing group, or for several that do not overlap: the owner and
/// those who share with it. At most 80 columns: a deep architecture goes on further down. Lines end in a newline; `coloured` adds
/// escape sequences for the families.
std::string strip_picture(const genome::Catalogue& catalogue, const genome::Genome& genome, bool coloured);

/// A genome and what it is called, in one to eight characters of ASCII.
struct LabelledGenome {
  std::string label;
  genome::Genome genome;
};

/// Several of them close together, each behind its label, without the numbers of LIVs, and with one legend for all.
std::string strip_pictures(const genome::Catalogue& catalogue, const std::vector<LabelledGenome>& genomes, bool coloured);

}  // namespace starling::tools
