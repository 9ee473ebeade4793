#include "architecture.hpp"

namespace starling::tools {

char family_letter(genome::Family family) {
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

const char* family_colour(genome::Family family) {
  switch (family) {
    case genome::Family::attention:
      return "\x1b[34m";
    case genome::Family::recurrence:
      return "\x1b[35m";
    case genome::Family::gated_convolution:
      return "\x1b[32m";
    case genome::Family::memoryless:
      return "\x1b[33m";
  }
  return "";
}

std::string strip(const genome::Catalogue& catalogue, const genome::Genome& genome) {
  const auto plan = genome::make_plan(catalogue, genome);
  std::string text;
  for (std::size_t i = 0; i < plan.livs.size(); ++i) {
    const auto& liv = plan.livs[i];
    const bool parallel = liv.path_size > 1;
    if (parallel && liv.path_first == i) text += '(';
    text += family_letter(liv.liv_class->family);
    if (liv.routed) text += '~';
    if (parallel && liv.path_first + liv.path_size == i + 1) text += ')';
  }
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
