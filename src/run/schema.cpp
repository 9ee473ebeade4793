#include <starling/run/schema.hpp>

#include <algorithm>
#include <cassert>

namespace starling::run {
namespace {

using h5::Column;
using h5::Kind;
using h5::Table;

constexpr std::size_t time_width = 24;  // 2026-01-31T12:34:56.789Z

Column int32(std::string name) { return {std::move(name), Kind::int32, 0, {}}; }
Column int64(std::string name) { return {std::move(name), Kind::int64, 0, {}}; }
Column uint32(std::string name) { return {std::move(name), Kind::uint32, 0, {}}; }
Column uint64(std::string name) { return {std::move(name), Kind::uint64, 0, {}}; }
Column float64(std::string name) { return {std::move(name), Kind::float64, 0, {}}; }
Column text(std::string name, std::size_t width) { return {std::move(name), Kind::text, width, {}}; }
Column time(std::string name) { return text(std::move(name), time_width); }

Column origin(std::string name) { return {std::move(name), Kind::enumeration, 0, {"random", "crossover", "mutation", "baseline", "user"}}; }

Column status(std::string name) {
  return {std::move(name), Kind::enumeration, 0, {"ok", "diverged", "infeasible", "killed", "superseded"}};
}

Column event_type(std::string name) {
  return {std::move(name),
          Kind::enumeration,
          0,
          {"run_started", "attempt_lost", "evaluation_failed", "worker_joined", "worker_left", "checkpoint_dropped", "reference_loss",
           "run_ended", "extension_started", "extension_ended", "device_given_up"}};
}

std::vector<Column> evaluation_columns(const std::vector<ObjectiveInfo>& objectives) {
  std::vector<Column> columns{int64("evaluation_id"), int64("candidate_id"), int64("seq"),    status("status"),    int32("attempt"),
                              float64("fidelity"),    int64("steps"),        int64("tokens"), time("started_utc"), float64("duration_s")};
  for (const auto& objective : objectives) columns.push_back(float64(objective.column));
  for (auto column : {float64("loss"), float64("bits_per_byte"), float64("accuracy"), int64("parameters"), int64("cache_bytes"),
                      uint64("peak_mem_bytes"), uint64("seed"), text("worker", 32), int64("curve_start"), int64("curve_count")}) {
    columns.push_back(std::move(column));
  }
  return columns;
}

/// Of an evaluation, and what was asked for, and what the test part says.
std::vector<Column> retraining_columns(const std::vector<ObjectiveInfo>& objectives) {
  auto columns = evaluation_columns(objectives);
  for (auto column : {int64("asked_tokens"), float64("test_loss"), float64("test_bits_per_byte"), float64("test_accuracy")}) {
    columns.push_back(std::move(column));
  }
  return columns;
}

// Names of objectives are known when the table is made: none is cut.
std::vector<Column> objective_columns(const std::vector<ObjectiveInfo>& objectives) {
  const auto widest = [&](auto member) {
    std::size_t width = 16;
    for (const auto& objective : objectives) width = std::max(width, (objective.*member).size());
    return width;
  };
  return {text("name", widest(&ObjectiveInfo::name)), text("column", widest(&ObjectiveInfo::column)),
          text("unit", widest(&ObjectiveInfo::unit)), text("direction", widest(&ObjectiveInfo::direction))};
}

std::vector<Column> membership_columns() { return {int64("candidate_id"), int64("entered_seq"), int64("left_seq"), int64("replaced_by")}; }

}  // namespace

Tables::Tables(const std::vector<ObjectiveInfo>& run_objectives)
    : candidates("candidates", "Genomes accepted for evaluation",
                 {int64("candidate_id"), int64("created_seq"), origin("origin"), float64("generation_equiv"), int32("n_parents"),
                  uint64("genome_hash"), int64("n_params"), int32("repaired"), text("name", 32), int64("width"), int64("matched_to")}),
      evaluations("evaluations", "How candidates ended", evaluation_columns(run_objectives)),
      objectives("objectives", "What is minimised", objective_columns(run_objectives)),
      curves("curves", "Learning curves, contiguous per evaluation",
             {int64("evaluation_id"), int64("step"), int64("tokens"), float64("train_loss"), float64("val_loss"), float64("lr"),
              float64("grad_norm"), float64("elapsed_s")}),
      lineage("lineage", "Parents of candidates",
              {int64("child_id"), int64("parent_id"), int32("slot"), origin("origin"), int32("n_changed_genes")}),
      archive("archive", "Non-dominated candidates; left_seq -1: still one", membership_columns(), Table::Rows::changeable),
      population("population", "Members of the population; left_seq -1: still one", membership_columns(), Table::Rows::changeable),
      checkpoints(
          "checkpoints", "Checkpoint files; path empty: deleted since",
          {int64("candidate_id"), int64("step"), int64("seq"), int64("bytes"), uint32("crc32c"), int32("has_optimizer"), text("path", 64)},
          Table::Rows::changeable),
      devices("devices", "Workers and their devices; left_utc empty: still there",
              {text("worker", 32), text("host", 64), text("device", 64), int64("pid"), time("joined_utc"), time("left_utc"),
               text("reason", 128), float64("busy_s")},
              Table::Rows::changeable),
      events("events", "What else happened",
             {int64("seq"), time("time_utc"), event_type("type"), int64("candidate_id"), text("detail_json", detail_width)}),
      tests("tests", "What the front and the baselines reach on the test part, which the search never looks at",
            {int64("candidate_id"), int64("seq"), float64("loss"), float64("bits_per_byte"), float64("accuracy"), text("worker", 32),
             float64("duration_s")}),
      retrainings("retrainings", "Candidates trained again on another number of tokens; curves have their evaluation_id",
                  retraining_columns(run_objectives), Table::Rows::changeable) {
  assert(curves.row_bytes() == sizeof(CurveRow));
  for (const auto& objective : run_objectives) {
    objectives.add({objective.name, objective.column, objective.unit, objective.direction});
  }
}

void Tables::write(hid_t file) {
  for (auto* table : {&candidates, &evaluations, &objectives, &curves, &lineage, &archive, &population, &checkpoints, &devices, &events,
                      &tests, &retrainings}) {
    table->write(file);
  }
}

}  // namespace starling::run
