// The objectives a search can minimise: one table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <starling/experiment/experiment.hpp>
#include <starling/run/records.hpp>

namespace starling::experiment {

/// quality (validation loss in nats per token; for MAD tasks 1 − accuracy; for a series the mean squared error of its columns, normalised),
/// parameters (without embeddings), cache (bytes by formula), flops (of a candidate's whole training by formula: what accounting.hpp counts
/// per token, forward and backward, times the tokens it is trained on).
std::vector<run::ObjectiveInfo> all_objectives(std::string_view task_kind);
std::vector<std::string> objective_names();
/// Those of the experiment, in its order.
std::vector<run::ObjectiveInfo> objectives_of(const Experiment& experiment);

}  // namespace starling::experiment
