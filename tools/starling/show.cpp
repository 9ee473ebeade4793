#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/genome/catalogue.hpp>

#include "architecture.hpp"
#include "budgets.hpp"
#include "commands.hpp"
#include "losses.hpp"
#include "records_json.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;
using run::RunSummary;

bool is_baseline(const RunSummary& summary, std::uint64_t id) {
  return std::ranges::find(summary.baselines, id) != summary.baselines.end();
}

/// How candidates ended, baselines not counted; those without a result are "pending".
std::map<std::string, std::uint64_t> counts(const RunSummary& summary) {
  std::map<std::string, std::uint64_t> by_status;
  for (const auto& [id, candidate] : summary.candidates) {
    if (is_baseline(summary, id)) continue;
    const auto found = summary.evaluations.find(id);
    ++by_status[found == summary.evaluations.end() ? "pending" : search::to_string(found->second.outcome.status)];
  }
  return by_status;
}

/// The candidate with the least value of an objective, the first of equal ones; null where none has a result.
const run::EvaluationRecorded* best(const RunSummary& summary, std::size_t objective) {
  const run::EvaluationRecorded* least = nullptr;
  for (const auto& [id, evaluation] : summary.evaluations) {
    const auto& values = evaluation.outcome.objectives;
    if (evaluation.outcome.status != search::Status::ok || is_baseline(summary, id) || values.size() <= objective) continue;
    if (least == nullptr || values[objective] < least->outcome.objectives[objective]) least = &evaluation;
  }
  return least;
}

/// Share of their time that workers evaluated; NaN where they had none.
double share(double busy_s, double worker_s) { return worker_s > 0 ? busy_s / worker_s : run::none; }

/// Of all workers; NaN before the end.
double occupancy(const RunSummary& summary) { return summary.ended ? share(summary.ended->busy_s, summary.ended->worker_s) : run::none; }

/// "97.0 % (cuda:0 98.1 %, cuda:1 95.9 %)"
std::string occupancy_text(const RunSummary& summary) {
  const auto all = fmt::format("{:.1f} %", 100 * occupancy(summary));
  if (summary.ended->devices.size() < 2) return all;
  std::vector<std::string> parts;
  for (const auto& use : summary.ended->devices) {
    parts.push_back(fmt::format("{} {:.1f} %", use.device, 100 * share(use.busy_s, use.worker_s)));
  }
  return fmt::format("{} ({})", all, fmt::join(parts, ", "));
}

Json devices_json(const std::vector<run::DeviceUse>& devices) {
  auto rows = Json::array();
  for (const auto& use : devices) {
    rows.push_back({{"device", use.device}, {"workers", use.workers}, {"busy_s", use.busy_s}, {"worker_s", use.worker_s}});
  }
  return rows;
}

void print_extensions(const RunSummary& summary) {
  for (const auto& [started, ended] : summary.extensions) {
    const auto how = ended ? fmt::format("{} after {}", ended->reason, duration(ended->wall_s)) : std::string("no end is recorded");
    fmt::print("extended    {} by '{}': {}\n", started.time_utc, started.command_line, how);
  }
  for (const auto tokens : retrained_budgets(summary)) {
    const auto comparison = compare_budgets(summary, tokens);
    fmt::print("retrained   {} candidates on {} tokens, Kendall τ {}\n", comparison.rows.size(), grouped(tokens),
               comparison.tau ? fixed(*comparison.tau, 2) : "–");
  }
}

std::string status_text(const RunSummary& summary) {
  if (!summary.ended) return "no end is recorded: it still runs, or it was killed";
  return fmt::format("{} ({}) {} after {}", summary.ended->complete ? "complete" : "not complete", summary.ended->reason,
                     summary.ended->time_utc, duration(summary.ended->wall_s));
}

std::vector<run::AttemptLost> lost_attempts(const RunSummary& summary, std::uint64_t id) {
  std::vector<run::AttemptLost> lost;
  std::ranges::copy_if(summary.lost, std::back_inserter(lost), [id](const auto& attempt) { return attempt.candidate_id == id; });
  return lost;
}

std::vector<std::uint64_t> children(const RunSummary& summary, std::uint64_t id) {
  std::vector<std::uint64_t> ids;
  for (const auto& [child, candidate] : summary.candidates) {
    const auto& parents = candidate.candidate.parents;
    if (std::ranges::find(parents, id) != parents.end()) ids.push_back(child);
  }
  return ids;
}

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.6g}", value) : "–"; }

// --- the run as a whole

void print_run(const RunSummary& summary, const std::filesystem::path& directory) {
  const auto& started = summary.started;
  fmt::print("run         {}\n", directory.string());
  fmt::print("started     {} on {} by starling {} ({})\n", started.time_utc, started.host, started.starling_version, started.git_commit);
  fmt::print("command     {}\n", started.command_line);
  fmt::print("status      {}\n", status_text(summary));

  std::vector<std::string> parts;
  for (const auto& [status, count] : counts(summary)) parts.push_back(fmt::format("{} {}", count, status));
  fmt::print("candidates  {}\n", parts.empty() ? "none yet" : fmt::format("{}", fmt::join(parts, ", ")));
  for (std::size_t i = 0; i < started.objectives.size(); ++i) {
    const auto* least = best(summary, i);
    const auto text = least == nullptr ? std::string("–")
                                       : fmt::format("{} {} by candidate {}", number(least->outcome.objectives[i]),
                                                     started.objectives[i].unit, least->outcome.id);
    fmt::print("{:<11} best {}\n", started.objectives[i].name, text);
  }
  fmt::print("front       {}\n", summary.front.empty() ? "empty" : fmt::format("candidates {}", fmt::join(summary.front, " ")));
  for (const auto id : summary.baselines) {
    const auto found = summary.evaluations.find(id);
    const auto name = candidate_label(summary, id);
    if (found == summary.evaluations.end()) {
      fmt::print("baseline    {} (candidate {}): pending\n", name, id);
    } else if (found->second.outcome.status != search::Status::ok) {
      fmt::print("baseline    {} (candidate {}): {}, {}\n", name, id, search::to_string(found->second.outcome.status),
                 found->second.reason);
    } else {
      std::vector<std::string> values;
      for (std::size_t i = 0; i < std::min(started.objectives.size(), found->second.outcome.objectives.size()); ++i) {
        values.push_back(fmt::format("{} {}", started.objectives[i].name, number(found->second.outcome.objectives[i])));
      }
      fmt::print("baseline    {} (candidate {}): {}\n", name, id, fmt::join(values, ", "));
    }
  }
  const Losses losses(summary);
  for (const auto& reference : summary.references) fmt::print("reference   {}: {}\n", reference.name, losses.reference(reference));
  print_extensions(summary);
  if (!summary.lost.empty()) fmt::print("lost        {} attempts\n", summary.lost.size());
  if (!summary.superseded.empty()) fmt::print("superseded  {} results\n", summary.superseded.size());
  std::vector<std::string> workers;
  for (const auto& worker : summary.workers) {
    auto text = fmt::format("{} ({} on {})", worker.worker, worker.device, worker.host);
    if (std::ranges::find(workers, text) == workers.end()) workers.push_back(std::move(text));  // one that was replaced has the name again
  }
  fmt::print("workers     {}\n", workers.empty() ? "none joined" : fmt::format("{}", fmt::join(workers, ", ")));
  for (const auto& lost : summary.given_up) fmt::print("given up    {} at {}: {}\n", lost.device, lost.time_utc, lost.reason);
  if (std::isfinite(occupancy(summary))) fmt::print("occupancy   {}\n", occupancy_text(summary));
}

Json run_json(const RunSummary& summary, const std::filesystem::path& directory) {
  const auto& started = summary.started;
  Json object;
  object["directory"] = directory.string();
  object["run_uuid"] = started.run_uuid;
  object["started_utc"] = started.time_utc;
  object["host"] = started.host;
  object["starling_version"] = started.starling_version;
  object["git_commit"] = started.git_commit;
  object["command_line"] = started.command_line;
  object["seed"] = started.seed;
  object["experiment_toml"] = started.experiment_toml;
  object["ended"] = Json();
  if (summary.ended) {
    object["ended"] = {{"reason", summary.ended->reason}, {"time_utc", summary.ended->time_utc}, {"complete", summary.ended->complete},
                       {"wall_s", summary.ended->wall_s}, {"busy_s", summary.ended->busy_s},     {"worker_s", summary.ended->worker_s}};
    object["ended"]["devices"] = devices_json(summary.ended->devices);
  }
  auto& extensions = object["extensions"] = Json::array();
  for (const auto& [begun, end] : summary.extensions) {
    extensions.push_back({{"started_utc", begun.time_utc}, {"command_line", begun.command_line}, {"host", begun.host}});
    extensions.back()["ended"] =
        end ? Json{{"reason", end->reason}, {"time_utc", end->time_utc}, {"complete", end->complete}, {"wall_s", end->wall_s}} : Json();
  }
  auto& budgets = object["retrained"] = Json::array();
  for (const auto tokens : retrained_budgets(summary)) {
    const auto comparison = compare_budgets(summary, tokens);
    budgets.push_back({{"tokens", tokens},
                       {"candidates", comparison.rows.size()},
                       {"compared", comparison.compared},
                       {"kendall_tau", comparison.tau ? Json(*comparison.tau) : Json()}});
  }
  object["occupancy"] = std::isfinite(occupancy(summary)) ? Json(occupancy(summary)) : Json();
  object["candidates"] = counts(summary);
  auto& objectives = object["objectives"] = Json::array();
  for (std::size_t i = 0; i < started.objectives.size(); ++i) {
    auto objective = objective_json(started.objectives[i]);
    const auto* least = best(summary, i);
    objective["best"] = least == nullptr ? Json() : Json{{"value", least->outcome.objectives[i]}, {"candidate", least->outcome.id}};
    objectives.push_back(std::move(objective));
  }
  object["front"] = summary.front;
  object["baselines"] = summary.baselines;
  object["references"] = references_json(summary);
  object["lost_attempts"] = summary.lost.size();
  object["superseded"] = summary.superseded.size();
  auto& given_up = object["devices_given_up"] = Json::array();
  for (const auto& lost : summary.given_up) {
    given_up.push_back({{"device", lost.device}, {"reason", lost.reason}, {"time_utc", lost.time_utc}});
  }
  auto& workers = object["workers"] = Json::array();
  for (const auto& w : summary.workers) {
    workers.push_back({{"worker", w.worker}, {"host", w.host}, {"device", w.device}, {"pid", w.pid}, {"joined_utc", w.time_utc}});
  }
  return object;
}

// --- one candidate

/// A few points that show the shape of the curve, the first and the last among them.
std::vector<run::CurvePoint> thinned(const std::vector<run::CurvePoint>& curve) {
  constexpr std::size_t most = 10;
  if (curve.size() <= most) return curve;
  std::vector<run::CurvePoint> points;
  for (std::size_t i = 0; i < most; ++i) points.push_back(curve[i * (curve.size() - 1) / (most - 1)]);
  return points;
}

void print_retrainings(const RunSummary& summary, std::uint64_t id) {
  const Losses losses(summary);
  for (const auto& [key, e] : summary.retrainings) {
    if (key.first != id) continue;
    fmt::print("retrained   {} tokens, {}{}: {}; checkpoint {}\n", grouped(key.second), search::to_string(e.outcome.status),
               e.reason.empty() ? "" : ": " + e.reason, losses.measures(e.loss, e.bits_per_byte, e.accuracy),
               e.checkpoint.path.empty() ? "not kept" : e.checkpoint.path);
    if (const auto test = summary.retraining_tests.find(key); test != summary.retraining_tests.end()) {
      const auto& t = test->second;
      fmt::print("  on test   {}\n", losses.measures(t.loss, t.bits_per_byte, t.accuracy));
    }
  }
}

void print_evaluation(const RunSummary& summary, const run::EvaluationRecorded& e) {
  fmt::print("status      {}{}, attempt {} on {}, {} from {}\n", search::to_string(e.outcome.status),
             e.reason.empty() ? "" : ": " + e.reason, e.attempt, e.worker, duration(e.duration_s), e.started_utc);
  for (std::size_t i = 0; i < std::min(summary.started.objectives.size(), e.outcome.objectives.size()); ++i) {
    fmt::print("{:<11} {} {}\n", summary.started.objectives[i].name, number(e.outcome.objectives[i]), summary.started.objectives[i].unit);
  }
  const Losses losses(summary);
  fmt::print("measures    {}\n", losses.measures(e.loss, e.bits_per_byte, e.accuracy));
  if (const auto test = summary.tests.find(e.outcome.id); test != summary.tests.end()) {
    const auto& t = test->second;
    fmt::print("on test     {}\n", losses.measures(t.loss, t.bits_per_byte, t.accuracy));
  }
  fmt::print("size        {} parameters, cache {} bytes, peak memory {}\n", grouped(e.parameters), grouped(e.cache_bytes),
             byte_size(static_cast<double>(e.peak_mem_bytes)));
  fmt::print("trained     {} steps, {} tokens{}, seed {}\n", grouped(e.steps), grouped(e.tokens),
             e.micro_batch_tokens > 0 ? fmt::format(", {} at once", grouped(e.micro_batch_tokens)) : "", e.training_seed);
  fmt::print("checkpoint  {}\n", e.checkpoint.path.empty() ? "not kept" : e.checkpoint.path);
  print_retrainings(summary, e.outcome.id);
  if (e.curve.empty()) return;
  Table table({{"step"}, {"tokens"}, {"train loss"}, {"val loss"}, {"learning rate"}, {"gradient norm"}, {"seconds"}});
  for (const auto& p : thinned(e.curve)) {
    table.add({grouped(p.step), grouped(p.tokens), fixed(p.train_loss, 4), fixed(p.val_loss, 4), fmt::format("{:.3g}", p.learning_rate),
               fixed(p.grad_norm, 3), fixed(p.elapsed_s, 1)});
  }
  fmt::print("\ncurve, {} of {} points\n{}", thinned(e.curve).size(), e.curve.size(), table.text());
}

void print_candidate(const RunSummary& summary, std::uint64_t id) {
  const auto& accepted = summary.candidates.at(id);
  const auto& c = accepted.candidate;
  const auto& catalogue = catalogue_of(summary);
  fmt::print("candidate   {}{}\n", id, c.name.empty() ? "" : ", " + candidate_label(summary, id));
  fmt::print("genome      {}\n", genome::to_text(c.genome));
  fmt::print("strip       {}   {}\n", strip(catalogue, c.genome), strip_legend());
  fmt::print("{}", segment_lines(catalogue, c.genome));
  fmt::print("origin      {}, generation {:.2f}, accepted {}\n", search::to_string(c.origin), c.generation, accepted.time_utc);
  fmt::print("parents     {}\n", c.parents.empty() ? "none" : fmt::format("{}", fmt::join(c.parents, " ")));
  const auto offspring = children(summary, id);
  fmt::print("children    {}\n", offspring.empty() ? "none" : fmt::format("{}", fmt::join(offspring, " ")));
  fmt::print("genes       {} differ from the first parent, {} repaired, hash {:016x}\n", c.changed_genes, c.repairs.total(), c.hash);
  for (const auto& lost : lost_attempts(summary, id)) {
    fmt::print("lost        attempt {} on {} at {}: {}\n", lost.attempt, lost.worker, lost.time_utc, lost.reason);
  }
  const auto found = summary.evaluations.find(id);
  if (found == summary.evaluations.end()) {
    fmt::print("status      no result yet\n");
  } else {
    print_evaluation(summary, found->second);
  }
}

Json full_candidate_json(const RunSummary& summary, std::uint64_t id) {
  auto object = candidate_json(summary, id);
  object["children"] = children(summary, id);
  auto& attempts = object["lost_attempts"] = Json::array();
  for (const auto& lost : lost_attempts(summary, id)) {
    attempts.push_back({{"attempt", lost.attempt}, {"worker", lost.worker}, {"reason", lost.reason}, {"time_utc", lost.time_utc}});
  }
  const auto found = summary.evaluations.find(id);
  object["curve"] = found == summary.evaluations.end() ? Json::array() : curve_json(found->second.curve);
  return object;
}

}  // namespace

int show(const ShowArguments& arguments) {
  const auto summary = run::summarise(arguments.run);
  if (!arguments.candidate) {
    if (arguments.json) {
      fmt::print("{}\n", dump(run_json(summary, arguments.run)));
    } else {
      print_run(summary, arguments.run);
    }
    return exit_code::done;
  }
  const auto id = *arguments.candidate;
  if (!summary.candidates.contains(id)) {
    throw UserError(summary.candidates.empty() ? fmt::format("{}: the run has no candidates yet", arguments.run.string())
                                               : fmt::format("{}: there is no candidate {}, expected 1 … {}", arguments.run.string(), id,
                                                             summary.candidates.rbegin()->first));
  }
  if (arguments.json) {
    fmt::print("{}\n", dump(full_candidate_json(summary, id)));
  } else {
    print_candidate(summary, id);
  }
  return exit_code::done;
}

}  // namespace starling::tools
