#include "architecture.hpp"

namespace starling::tools {
namespace {

char letter(genome::Family family) {
  switch (family) {
    case genome::Family::attention:
      return 'A';
    case genome::Family::recurrence:
      return 'R';
    case genome::Family::gated_convolution:
      return 'C';
    case genome::Family::memoryless:
      return 'M';
  }
  return '?';
}

}  // namespace

std::string strip(const genome::Catalogue& catalogue, const genome::Genome& genome) {
  std::string text;
  for (const auto& liv : genome::without_empty(genome).livs) text += letter(catalogue.at(liv.liv_class).family);
  return text;
}

std::string strip_legend() { return "A attention · R recurrence · C gated convolution · M memoryless"; }

std::string family_name(genome::Family family) {
  switch (family) {
    case genome::Family::attention:
      return "attention";
    case genome::Family::recurrence:
      return "recurrence";
    case genome::Family::gated_convolution:
      return "gated convolution";
    case genome::Family::memoryless:
      return "memoryless";
  }
  return "?";
}

std::string group_names(const genome::Featurizer& featurizer, genome::GroupMask mask) {
  std::string names;
  for (std::size_t i = 0; i < featurizer.groups.size(); ++i) {
    if ((mask >> i & 1u) == 0) continue;
    if (!names.empty()) names += ' ';
    names += featurizer.groups[i].name;
  }
  return names;
}

}  // namespace starling::tools
