#include "architecture.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include <starling/experiment/experiment.hpp>
#include <starling/genome/segments.hpp>

#include "commands.hpp"
#include "load.hpp"

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

Classes classes_of(const ClassSource& source) {
  if (source.experiment.empty()) {
    Classes classes{genome::Catalogue::named(source.catalogue), {.width = 768, .length = 4096, .vocabulary = 1}, {}};
    if (source.band) classes.dimensions.band = *source.band;
    return classes;
  }
  const auto experiment = load_experiment(source.experiment, {});
  Classes classes{experiment::catalogue(experiment), experiment::dimensions(experiment), experiment.model.depth};
  if (source.band) classes.dimensions.band = *source.band;
  return classes;
}

const genome::Catalogue& catalogue_of(const run::RunSummary& summary) {
  const auto& started = summary.started;
  if (started.experiment_toml.find("[[class]]") == std::string::npos) return genome::Catalogue::named(started.catalogue);
  return experiment::catalogue(experiment::parse(started.experiment_toml, "experiment.toml of the run"));
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

std::vector<int> operator_integers(const genome::OperatorGenome& op) {
  return {op.featurizer, static_cast<int>(op.token_mixing), static_cast<int>(op.sparsity), static_cast<int>(op.nonlinearity),
          static_cast<int>(op.channel_mixing)};
}

std::vector<Difference> differences(const genome::Catalogue& catalogue, const genome::Liv& liv) {
  using genome::GroupGene;
  using genome::OperatorGene;
  constexpr std::array of_operator = {"featurizer", "token mixing", "structured sparsity", "nonlinearity", "channel mixing"};
  constexpr std::array of_group = {"token mixing", "structured sparsity", "nonlinearity", "channel mixing", "expansion", "repeat"};
  const auto normal = genome::with_normal_class(catalogue, liv);
  const auto starts = genome::integers_of(catalogue, catalogue.at(normal.liv_class));
  const auto all = genome::all_integers(catalogue, normal);
  const auto& featurizer = *genome::find_featurizer(catalogue, all[genome::position(OperatorGene::featurizer)]);
  const auto begins = genome::integers_of(catalogue, featurizer);
  std::vector<Difference> found;
  for (std::size_t i = 0; i < genome::operator_genes; ++i) {
    if (all[i] != starts[i]) found.push_back({"", of_operator[i], fmt::format("{}", starts[i]), fmt::format("{}", all[i])});
  }
  const auto text = [&](GroupGene gene, int value) {
    if (gene == GroupGene::expansion) return genome::to_text(*genome::expansion_of(catalogue, value));
    if (gene == GroupGene::token_mixing && value > 9) return fmt::format("{} ({} taps)", value / 10, value % 10);
    return fmt::format("{}", value);
  };
  for (std::size_t group = 0; group < featurizer.groups.size(); ++group) {
    for (std::size_t i = 0; i < genome::group_genes; ++i) {
      const auto gene = static_cast<GroupGene>(i);
      const auto place = genome::position(group, gene);
      if (all[place] == begins[place]) continue;
      found.push_back({featurizer.groups[group].name, of_group[i], text(gene, begins[place]), text(gene, all[place])});
    }
  }
  return found;
}

std::string segment_lines(const genome::Catalogue& catalogue, const genome::Genome& genome) {
  const auto present = genome::without_empty(genome);
  std::string lines;
  for (std::size_t i = 0; i < present.depth(); ++i) {
    const auto liv = genome::with_normal_class(catalogue, present.livs[i]);
    if (!genome::has_segments(liv)) continue;
    std::string line;
    std::string group;
    for (const auto& change : differences(catalogue, liv)) {
      if (!line.empty()) line += change.group == group ? ", " : "; ";
      if (change.group != group) line += change.group + ": ";
      group = change.group;
      line += fmt::format("{} {}, not {}", change.gene, change.of_liv, change.of_class);
    }
    lines += fmt::format("LIV {:<2} {}* has {}\n", i + 1, catalogue.at(liv.liv_class).name, line);
  }
  return lines;
}

nlohmann::ordered_json class_genomes_json(const genome::LivClass& liv_class, const genome::Featurizer& featurizer) {
  nlohmann::ordered_json object;
  object["id"] = liv_class.id;
  object["name"] = liv_class.name;
  object["family"] = family_name(liv_class.family);
  object["operator_genome"] = operator_integers(liv_class.op);
  object["differential"] = liv_class.differential;
  object["definition"] = liv_class.definition;
  auto& groups = object["feature_groups"] = nlohmann::ordered_json::array();
  for (const auto& group : featurizer.groups) {
    groups.push_back({{"name", group.name},
                      {"parametrisation", genome::name_of(group.parametrisation)},
                      {"token_mixing", static_cast<int>(group.token_mixing)},
                      {"kernel", group.kernel},
                      {"sparsity", static_cast<int>(group.sparsity)},
                      {"nonlinearity", static_cast<int>(group.nonlinearity)},
                      {"channel_mixing", static_cast<int>(group.channel_mixing)},
                      {"expansion", genome::to_text(group.expansion)},
                      {"repeat", group.repeat}});
  }
  return object;
}

}  // namespace starling::tools
