#include "configuration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include <starling/experiment/schema.hpp>
#include <starling/tasks/column_file.hpp>

#include "architecture.hpp"
#include "devices.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

std::string task_line(const experiment::Experiment& e) {
  if (e.task.kind == "mad") {
    return fmt::format("{}, vocabulary {}, {} training and {} test sequences of {} tokens", e.task.mad_task, e.task.vocabulary,
                       grouped(e.task.training_sequences), grouped(e.task.test_sequences), e.task.sequence_length);
  }
  const auto files = e.task.files.size() == 1 ? e.task.files[0] : fmt::format("{} globs", e.task.files.size());
  if (e.task.kind == "series") {
    const auto& columns = e.task.columns;
    return fmt::format("series of {} column{} ({}) of {}, sequences of {} rows", grouped(std::ssize(columns)),
                       columns.size() == 1 ? "" : "s", tasks::listed(columns), files, e.task.sequence_length);
  }
  const auto amount = e.task.max_bytes == 0 ? std::string("all of") : fmt::format("at most {} bytes of", grouped(e.task.max_bytes));
  const auto tokens = experiment::reads_shards(e) && e.task.tokenizer == "none" ? std::string("tokens") : e.task.tokenizer;
  return fmt::format("{} on {} {}, sequences of {} {}, vocabulary {}", e.task.kind, amount, files, e.task.sequence_length, tokens,
                     grouped(e.task.vocabulary));
}

}  // namespace

std::string configuration_summary(const experiment::Experiment& e) {
  std::string text;
  text += fmt::format("name      {}, seed {}\n", e.name, e.seed);
  text += fmt::format("task      {}\n", task_line(e));
  text += fmt::format("model     {} LIVs × {} channels, catalogue {}\n", e.model.depth, e.model.width, e.model.catalogue);
  if (!e.model.classes.empty()) {
    std::vector<std::string> names;
    for (const auto& row : e.model.classes) names.push_back(fmt::format("{} {}", row.liv_class.id, row.liv_class.name));
    text += fmt::format("classes   {} of its own: {}\n", names.size(), fmt::join(names, ", "));
  }
  text += fmt::format("search    {}, {}, minimises {}, population {}\n", e.search.algorithm, e.search.schedule,
                      fmt::join(e.search.objectives, " and "), e.search.population);
  if (e.search.segments.size() > 1) text += fmt::format("segments  {} evolve\n", fmt::join(e.search.segments, ", "));
  text += fmt::format("training  {} evaluations of {} tokens, batches of {}, learning rate {}, {}\n", grouped(e.evaluations),
                      grouped(e.training.tokens), grouped(e.training.batch_tokens), e.training.learning_rate, e.training.precision);
  text += fmt::format("baselines {}\n", e.search.baselines.empty() ? "none" : fmt::format("{}", fmt::join(e.search.baselines, ", ")));
  text += fmt::format("devices   {}\n", devices_text(e));
  return text;
}

nlohmann::ordered_json configuration_json(const experiment::Experiment& experiment) {
  auto copy = experiment;  // the table's accessors give references to change
  auto object = nlohmann::ordered_json::object();
  for (const auto& key : experiment::schema()) {
    if (!experiment::is_saved(key, experiment)) continue;
    const auto section = std::string{experiment::section_of(key)};
    auto& place = section.empty() ? object : object[section];
    auto& value = place[std::string{experiment::leaf_of(key)}];
    std::visit([&](auto access) { value = access(copy); }, key.field);
    if (!key.word.empty() && value.empty()) value = key.word;
  }
  if (!experiment.model.classes.empty()) {
    const auto& catalogue = experiment::catalogue(experiment);
    auto& rows = object["class"] = nlohmann::ordered_json::array();
    for (const auto& row : experiment.model.classes) {
      const auto& liv_class = catalogue.at(row.liv_class.id);
      rows.push_back(class_genomes_json(liv_class, catalogue.featurizer_of(liv_class)));
    }
  }
  return object;
}

}  // namespace starling::tools
