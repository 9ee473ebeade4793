// An experiment as `check` and `run` show it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <starling/experiment/experiment.hpp>

namespace starling::tools {

/// A few lines: task, model, search, training, workers.
std::string configuration_summary(const experiment::Experiment& experiment);
/// Every key with its value, as to_toml() writes them.
nlohmann::ordered_json configuration_json(const experiment::Experiment& experiment);

}  // namespace starling::tools
