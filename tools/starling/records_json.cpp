#include "records_json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "losses.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json repairs_json(const genome::Repairs& repairs) {
  return {{"class_out_of_range", repairs.class_out_of_range},
          {"illegal_operator", repairs.illegal_operator},
          {"illegal_featurizer", repairs.illegal_featurizer},
          {"illegal_integer", repairs.illegal_integer},
          {"illegal_strategy", repairs.illegal_strategy},
          {"lonely_group", repairs.lonely_group},
          {"composition", repairs.composition},
          {"lonely_path", repairs.lonely_path}};
}

}  // namespace

std::string candidate_label(const run::RunSummary& summary, std::uint64_t id) {
  const auto found = summary.candidates.find(id);
  if (found == summary.candidates.end() || found->second.candidate.name.empty()) return fmt::format("{}", id);
  const auto& [candidate, parameters, time_utc, width, matched_to] = found->second;
  if (matched_to == 0) return candidate.name;
  return fmt::format("{} ({} × {}, as {})", candidate.name, candidate.genome.depth(), width, matched_to);
}

Json retraining_json(const run::RunSummary& summary, const run::RetrainingKey& key) {
  const auto found = summary.retrainings.find(key);
  if (found == summary.retrainings.end()) return {};
  const auto& e = found->second;
  const auto tested = summary.retraining_tests.find(key);
  const auto test = tested == summary.retraining_tests.end() ? run::TestRecorded{} : tested->second;
  const Losses losses(summary);
  Json object;
  object["asked_tokens"] = key.second;
  object["status"] = search::to_string(e.outcome.status);
  object["reason"] = e.reason.empty() ? Json() : Json(e.reason);
  object["loss"] = number(e.loss);
  object["perplexity"] = number(losses.perplexity(e.loss));
  object["bits_per_byte"] = number(e.bits_per_byte);
  object["accuracy"] = number(e.accuracy);
  object["test_loss"] = number(test.loss);
  object["test_perplexity"] = number(losses.perplexity(test.loss));
  object["test_bits_per_byte"] = number(test.bits_per_byte);
  object["test_accuracy"] = number(test.accuracy);
  object["steps"] = e.steps;
  object["tokens"] = e.tokens;
  object["worker"] = e.worker;
  object["started_utc"] = e.started_utc;
  object["duration_s"] = number(e.duration_s);
  object["checkpoint"] = e.checkpoint.path.empty() ? Json() : Json(e.checkpoint.path);
  return object;
}

Json objective_json(const run::ObjectiveInfo& objective) {
  return {{"name", objective.name}, {"column", objective.column}, {"unit", objective.unit}, {"direction", objective.direction}};
}

Json references_json(const run::RunSummary& summary) {
  auto list = Json::array();
  const Losses losses(summary);
  for (const auto& reference : summary.references) {
    list.push_back({{"name", reference.name},
                    {"loss", number(reference.loss)},
                    {"perplexity", number(losses.perplexity(reference.loss))},
                    {"bits_per_byte", number(reference.bits_per_byte)}});
  }
  return list;
}

Json candidate_json(const run::RunSummary& summary, std::uint64_t id) {
  Json object;
  object["id"] = id;
  if (const auto found = summary.candidates.find(id); found != summary.candidates.end()) {
    const auto& c = found->second.candidate;
    object["name"] = c.name.empty() ? Json() : Json(c.name);
    object["genome"] = genome::to_text(c.genome);
    object["phenotype_hash"] = fmt::format("{:016x}", c.hash);
    object["origin"] = search::to_string(c.origin);
    object["parents"] = c.parents;
    object["generation"] = number(c.generation);
    object["changed_genes"] = c.changed_genes;
    object["repairs"] = c.repairs.total();
    object["repairs_by_kind"] = repairs_json(c.repairs);
    object["parameters"] = found->second.parameters;
    object["depth"] = c.genome.depth();
    object["width"] = found->second.width == 0 ? Json() : Json(found->second.width);
    object["matched_to"] = found->second.matched_to == 0 ? Json() : Json(found->second.matched_to);
  }
  const auto found = summary.evaluations.find(id);
  if (found == summary.evaluations.end()) {
    object["status"] = Json();
    return object;
  }
  const auto& e = found->second;
  object["status"] = search::to_string(e.outcome.status);
  object["reason"] = e.reason.empty() ? Json() : Json(e.reason);
  auto& objectives = object["objectives"] = Json::object();
  for (std::size_t i = 0; i < std::min(e.outcome.objectives.size(), summary.started.objectives.size()); ++i) {
    objectives[summary.started.objectives[i].name] = number(e.outcome.objectives[i]);
  }
  const Losses losses(summary);
  object["loss"] = number(e.loss);
  object["perplexity"] = number(losses.perplexity(e.loss));
  object["bits_per_byte"] = number(e.bits_per_byte);
  object["accuracy"] = number(e.accuracy);
  const auto tested = summary.tests.find(id);
  const auto test = tested == summary.tests.end() ? run::TestRecorded{} : tested->second;
  object["test_loss"] = number(test.loss);
  object["test_perplexity"] = number(losses.perplexity(test.loss));
  object["test_bits_per_byte"] = number(test.bits_per_byte);
  object["test_accuracy"] = number(test.accuracy);
  object["parameters"] = e.parameters;
  object["cache_bytes"] = e.cache_bytes;
  object["steps"] = e.steps;
  object["tokens"] = e.tokens;
  object["micro_batch_tokens"] = e.micro_batch_tokens;
  object["attempt"] = e.attempt;
  object["worker"] = e.worker;
  object["training_seed"] = e.training_seed;
  object["started_utc"] = e.started_utc;
  object["duration_s"] = number(e.duration_s);
  object["peak_mem_bytes"] = e.peak_mem_bytes;
  object["checkpoint"] = e.checkpoint.path.empty() ? Json() : Json(e.checkpoint.path);
  auto& retrainings = object["retrainings"] = Json::array();
  for (const auto& [key, retraining] : summary.retrainings) {
    if (key.first == id) retrainings.push_back(retraining_json(summary, key));
  }
  return object;
}

Json curve_json(const std::vector<run::CurvePoint>& curve) {
  auto list = Json::array();
  for (const auto& point : curve) {
    list.push_back({{"step", point.step},
                    {"tokens", point.tokens},
                    {"train_loss", number(point.train_loss)},
                    {"val_loss", number(point.val_loss)},
                    {"learning_rate", number(point.learning_rate)},
                    {"grad_norm", number(point.grad_norm)},
                    {"elapsed_s", number(point.elapsed_s)}});
  }
  return list;
}

std::string dump(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace); }

}  // namespace starling::tools
