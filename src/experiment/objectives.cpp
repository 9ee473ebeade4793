#include <starling/experiment/objectives.hpp>

#include <algorithm>
#include <cassert>

namespace starling::experiment {

namespace {

std::string quality_unit(std::string_view task_kind) {
  if (task_kind == "mad") return "1 - accuracy";
  if (task_kind == "series") return "mean squared error of normalised columns";
  return "nats per token";
}

}  // namespace

std::vector<run::ObjectiveInfo> all_objectives(std::string_view task_kind) {
  return {
      {"quality", "obj_quality", quality_unit(task_kind)},
      {"parameters", "obj_parameters", "parameters without embedding"},
      {"cache", "obj_cache", "bytes"},
      {"flops", "obj_flops", "FLOPs of training"},
  };
}

std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const auto& objective : all_objectives("language-model")) names.push_back(objective.name);
  return names;
}

std::vector<run::ObjectiveInfo> objectives_of(const Experiment& experiment) {
  const auto all = all_objectives(experiment.task.kind);
  std::vector<run::ObjectiveInfo> chosen;
  for (const auto& name : experiment.search.objectives) {
    const auto found = std::ranges::find(all, name, &run::ObjectiveInfo::name);
    assert(found != all.end());  // load() has checked the names
    chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace starling::experiment
