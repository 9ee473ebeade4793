#include <starling/experiment/objectives.hpp>

#include <algorithm>
#include <cassert>

namespace starling::experiment {

std::vector<run::ObjectiveInfo> all_objectives(bool task_is_mad) {
  return {
      {"quality", "obj_quality", task_is_mad ? "1 - accuracy" : "nats per token"},
      {"parameters", "obj_parameters", "parameters without embedding"},
      {"cache", "obj_cache", "bytes"},
      {"flops", "obj_flops", "FLOPs of training"},
  };
}

std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const auto& objective : all_objectives(false)) names.push_back(objective.name);
  return names;
}

std::vector<run::ObjectiveInfo> objectives_of(const Experiment& experiment) {
  const auto all = all_objectives(experiment.task.kind == "mad");
  std::vector<run::ObjectiveInfo> chosen;
  for (const auto& name : experiment.search.objectives) {
    const auto found = std::ranges::find(all, name, &run::ObjectiveInfo::name);
    assert(found != all.end());  // load() has checked the names
    chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace starling::experiment
