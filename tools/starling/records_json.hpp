// What a run recorded, as JSON. Numbers that do not apply are null; "loss" is the mean squared error of a series.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include <starling/run/summary.hpp>

namespace starling::tools {

nlohmann::ordered_json objective_json(const run::ObjectiveInfo& objective);
nlohmann::ordered_json references_json(const run::RunSummary& summary);
/// One candidate with its result, without its curve.
nlohmann::ordered_json candidate_json(const run::RunSummary& summary, std::uint64_t id);
/// Of a candidate: its number, or a baseline's name, with its sizes where they are those of a candidate.
std::string candidate_label(const run::RunSummary& summary, std::uint64_t id);
/// A candidate on another number of tokens; null where it was not trained on so many.
nlohmann::ordered_json retraining_json(const run::RunSummary& summary, const run::RetrainingKey& key);
nlohmann::ordered_json curve_json(const std::vector<run::CurvePoint>& curve);

/// Indented; bytes that are no UTF-8 are replaced, since a name of a file or host may hold any.
std::string dump(const nlohmann::ordered_json& value);

}  // namespace starling::tools
