// The Pareto front of a run as a table: `starling front`, and the end of `starling run`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <starling/run/summary.hpp>

namespace starling::tools {

/// Front members (first objective first), the baselines of the run, and the reference losses, with the measures that
/// the task has.
std::string render_front(const run::RunSummary& summary);
nlohmann::ordered_json front_json(const run::RunSummary& summary);

}  // namespace starling::tools
