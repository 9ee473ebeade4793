#include "front_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "losses.hpp"
#include "records_json.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

/// A line of the table: a candidate or a reference loss.
struct Row {
  std::string name;
  const run::EvaluationRecorded* evaluation = nullptr;  ///< null for a reference, and for a candidate without a result
  const run::ReferenceLoss* reference = nullptr;
  const run::TestRecorded* test = nullptr;
  std::string genome{};
  std::int64_t parameters = 0;  ///< 0: unknown
  bool ok = false;

  double loss() const { return evaluation != nullptr ? evaluation->loss : reference != nullptr ? reference->loss : run::none; }
  double bits_per_byte() const {
    return evaluation != nullptr ? evaluation->bits_per_byte : reference != nullptr ? reference->bits_per_byte : run::none;
  }
  double test_loss() const { return test != nullptr ? test->loss : run::none; }
  double test_accuracy() const { return test != nullptr ? test->accuracy : run::none; }
  double accuracy() const { return evaluation != nullptr ? evaluation->accuracy : run::none; }
};

const run::EvaluationRecorded* evaluation_of(const run::RunSummary& summary, std::uint64_t id) {
  const auto found = summary.evaluations.find(id);
  return found == summary.evaluations.end() ? nullptr : &found->second;
}

/// A candidate that did not end well stands in the table with its status instead of a genome that means nothing.
Row candidate_row(const run::RunSummary& summary, std::uint64_t id, std::string name) {
  Row row{.name = std::move(name), .evaluation = evaluation_of(summary, id)};
  if (const auto tested = summary.tests.find(id); tested != summary.tests.end()) row.test = &tested->second;
  const auto found = summary.candidates.find(id);
  if (found != summary.candidates.end()) row.parameters = found->second.parameters;
  if (row.evaluation == nullptr) {
    row.genome = "(no result)";
  } else if (row.evaluation->outcome.status != search::Status::ok) {
    row.genome = fmt::format("({}: {})", search::to_string(row.evaluation->outcome.status), row.evaluation->reason);
  } else {
    row.ok = true;
    row.parameters = row.evaluation->parameters;
    if (found != summary.candidates.end()) row.genome = genome::to_text(found->second.candidate.genome);
  }
  return row;
}

struct Rows {
  std::vector<Row> rows;
  std::vector<std::size_t> groups;  ///< first row of each further group
};

Rows collect(const run::RunSummary& summary) {
  Rows all;
  const auto next_group = [&all] {
    if (!all.rows.empty()) all.groups.push_back(all.rows.size());
  };
  for (const auto id : summary.front) all.rows.push_back(candidate_row(summary, id, fmt::format("{}", id)));
  if (!summary.baselines.empty()) next_group();
  for (const auto id : summary.baselines) {
    all.rows.push_back(candidate_row(summary, id, candidate_label(summary, id)));
  }
  if (!summary.references.empty()) next_group();
  for (const auto& reference : summary.references) all.rows.push_back({.name = reference.name, .reference = &reference});
  return all;
}

struct Measure {
  std::string title;
  std::function<double(const Row&)> value;
  int digits = 0;
};

}  // namespace

std::string render_front(const run::RunSummary& summary) {
  const auto [rows, groups] = collect(summary);
  // A column is there where any row has a value for it: text has no accuracy, MAD tasks have no bytes, series have neither nor a perplexity.
  const Losses losses(summary);
  const auto perplexity = [losses](double loss) { return losses.perplexity(loss); };
  const auto squared = [losses](double loss) { return losses.mean_squared_error(loss); };
  std::vector<Measure> measures;
  for (auto& measure :
       std::vector<Measure>{{"accuracy", [](const Row& row) { return row.accuracy(); }, 4},
                            {"on test", [](const Row& row) { return row.test_accuracy(); }, 4},
                            {"perplexity", [=](const Row& row) { return perplexity(row.loss()); }, 3},
                            {"on test", [=](const Row& row) { return perplexity(row.test_loss()); }, 3},
                            {"MSE", [=](const Row& row) { return squared(row.loss()); }, Losses::squared_error_digits},
                            {"on test", [=](const Row& row) { return squared(row.test_loss()); }, Losses::squared_error_digits},
                            {"bits/byte", [](const Row& row) { return row.bits_per_byte(); }, 4}}) {
    if (std::ranges::any_of(rows, [&](const Row& row) { return std::isfinite(measure.value(row)); }))
      measures.push_back(std::move(measure));
  }

  using enum Table::Align;
  std::vector<Table::Column> columns{{"candidate", left}};
  for (const auto& measure : measures) columns.push_back({measure.title});
  columns.insert(columns.end(), {{"parameters"}, {"cache bytes"}, {"genome", left}});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (std::ranges::find(groups, i) != groups.end()) table.rule();
    std::vector<std::string> cells{row.name};
    for (const auto& measure : measures) cells.push_back(fixed(measure.value(row), measure.digits));
    cells.push_back(row.parameters > 0 ? grouped(row.parameters) : "–");
    cells.push_back(row.ok ? grouped(row.evaluation->cache_bytes) : "–");
    cells.push_back(row.genome);
    table.add(std::move(cells));
  }
  auto text = table.text();
  if (summary.front.empty()) text += "No candidate has a result yet.\n";
  return text;
}

nlohmann::ordered_json front_json(const run::RunSummary& summary) {
  using Json = nlohmann::ordered_json;
  Json object;
  object["run_uuid"] = summary.started.run_uuid;
  auto& objectives = object["objectives"] = Json::array();
  for (const auto& objective : summary.started.objectives) objectives.push_back(objective_json(objective));
  const auto candidates = [&summary](const std::vector<std::uint64_t>& ids) {
    auto list = Json::array();
    for (const auto id : ids) list.push_back(candidate_json(summary, id));
    return list;
  };
  object["front"] = candidates(summary.front);
  object["baselines"] = candidates(summary.baselines);
  object["references"] = references_json(summary);
  return object;
}

}  // namespace starling::tools
