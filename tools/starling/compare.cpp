// `starling compare`: what several searches of the same found, in a box that they have in common, and how soon.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ranges>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/search/comparison.hpp>

#include "commands.hpp"
#include "losses.hpp"
#include "records_json.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;
using search::Status;

/// One of the searches. Its baselines are no part of it.
struct Search {
  std::string name;  ///< the run as it was given
  run::RunSummary summary;
  experiment::Experiment experiment;
  std::size_t evaluations = 0;       ///< candidates with a result, of whatever kind
  std::size_t failed = 0;            ///< of these without objectives
  search::Points points;             ///< the others, in the order of their results
  std::vector<std::size_t> after{};  ///< evaluations with which point i came
  std::vector<double> shares{};      ///< of the box, with points 0 to i
  std::size_t on_joint_front = 0;
  const run::EvaluationRecorded* best = nullptr;  ///< by quality, whether or not that is an objective

  /// Share of the box after so many evaluations.
  double share(std::size_t count) const {
    const auto later = std::ranges::upper_bound(after, count);
    return later == after.begin() ? 0 : shares[static_cast<std::size_t>(later - after.begin()) - 1];
  }
  double share() const { return shares.empty() ? 0 : shares.back(); }
  /// Evaluations after which the share was reached; 0: never.
  std::size_t reached(double share) const {
    const auto found = std::ranges::lower_bound(shares, share);
    return found == shares.end() ? 0 : after[static_cast<std::size_t>(found - shares.begin())];
  }
};

Search read(const std::filesystem::path& directory) {
  auto summary = run::summarise(directory);
  auto experiment = experiment::parse(summary.started.experiment_toml, (directory / "experiment.toml").string());
  const auto objectives = summary.started.objectives.size();
  Search search{
      .name = directory.string(), .summary = std::move(summary), .experiment = std::move(experiment), .points = search::Points(objectives)};
  const auto& baselines = search.summary.baselines;
  for (const auto id : search.summary.evaluated) {
    if (std::ranges::find(baselines, id) != baselines.end()) continue;
    const auto& evaluation = search.summary.evaluations.at(id);
    const auto& values = evaluation.outcome.objectives;
    ++search.evaluations;
    if (evaluation.outcome.status != Status::ok || !std::ranges::all_of(values, [](double value) { return std::isfinite(value); })) {
      ++search.failed;
      continue;
    }
    if (search.best == nullptr || Losses::to_minimise(evaluation) < Losses::to_minimise(*search.best)) search.best = &evaluation;
    search.points.add(values);
    search.after.push_back(search.evaluations);
  }
  // Of equals one of the front, which was tested.
  for (const auto id : search.summary.front) {
    const auto& member = search.summary.evaluations.at(id);
    if (search.best != nullptr && Losses::to_minimise(member) == Losses::to_minimise(*search.best)) search.best = &member;
  }
  return search;
}

std::string names_of(const std::vector<run::ObjectiveInfo>& objectives) {
  return fmt::format("{}", fmt::join(objectives | std::views::transform(&run::ObjectiveInfo::name), ", "));
}

/// Of one kind of task, and by the same objectives: else their values do not compare.
void require_comparable(const std::vector<Search>& searches) {
  const auto& first = searches.front();
  for (const auto& other : searches) {
    const auto &ours = first.summary.started.objectives, &theirs = other.summary.started.objectives;
    if (!std::ranges::equal(ours, theirs, {}, &run::ObjectiveInfo::name, &run::ObjectiveInfo::name)) {
      throw UserError(fmt::format("{} minimises {}, {} minimises {}: expected the same objectives in the same order", first.name,
                                  names_of(ours), other.name, names_of(theirs)));
    }
    const auto &task = first.experiment.task, &theirs_task = other.experiment.task;
    if (task.kind != theirs_task.kind || task.mad_task != theirs_task.mad_task) {
      const auto spoken = [](const experiment::Task& of) { return of.mad_task.empty() ? of.kind : of.kind + " " + of.mad_task; };
      throw UserError(fmt::format("the task of {} is {}, that of {} {}: expected the same task", first.name, spoken(task), other.name,
                                  spoken(theirs_task)));
    }
  }
}

/// What simple predictions lose tells whether a validation part is the same; nothing where they lose the same, or are not known.
std::string difference_of_data(const Search& first, const Search& other) {
  for (const auto& reference : first.summary.references) {
    const auto& theirs = other.summary.references;
    const auto found = std::ranges::find(theirs, reference.name, &run::ReferenceLoss::name);
    // What another processor rounds otherwise is no other data.
    if (found == theirs.end() || std::abs(found->loss - reference.loss) <= 1e-9 * std::abs(reference.loss)) continue;
    return fmt::format("were not validated on the same data ({} loses {} and {})", reference.name, fixed(reference.loss, 5),
                       fixed(found->loss, 5));
  }
  return "";
}

/// A line for each run whose objectives do not mean quite what those of the first one do.
std::vector<std::string> doubts(const std::vector<Search>& searches) {
  std::vector<std::string> lines;
  const auto& first = searches.front();
  for (const auto& other : searches) {
    auto difference = difference_of_data(first, other);
    if (difference.empty() && first.experiment.task != other.experiment.task) difference = "have other settings in [task]";
    if (!difference.empty())
      lines.push_back(fmt::format("{} and {} {}: their objectives compare roughly", first.name, other.name, difference));
  }
  return lines;
}

struct Comparison {
  search::Box box;
  std::size_t joint_front = 0;
  std::size_t common = 0;  ///< evaluations that every search has had
};

Comparison compare_searches(std::vector<Search>& searches) {
  search::Points all(searches.front().points.objectives()), members(all.objectives());
  std::vector<Search*> owners;
  Comparison comparison{.box = {}, .common = searches.front().evaluations};
  for (auto& search : searches) {
    comparison.common = std::min(comparison.common, search.evaluations);
    for (std::size_t i = 0; i < search.points.size(); ++i) {
      all.add(search.points[i]);
      owners.push_back(&search);
    }
  }
  if (all.size() == 0) return comparison;
  for (const auto& search : searches) {
    for (const auto i : search::nondominated(search.points)) members.add(search.points[i]);
  }
  comparison.box = search::box_of(members);
  for (const auto i : search::nondominated(all)) {
    ++comparison.joint_front;
    ++owners[i]->on_joint_front;
  }
  for (auto& search : searches) search.shares = search::hypervolume_shares(search.points, comparison.box);
  return comparison;
}

/// Quarters of what all have had.
std::vector<std::size_t> milestones(const Comparison& comparison) {
  std::vector<std::size_t> counts;
  for (std::size_t quarter = 1; quarter <= 4; ++quarter) {
    const auto count = comparison.common * quarter / 4;
    if (count > 0 && (counts.empty() || counts.back() != count)) counts.push_back(count);
  }
  return counts;
}

const run::TestRecorded* test_of(const Search& search) {
  if (search.best == nullptr) return nullptr;
  const auto found = search.summary.tests.find(search.best->outcome.id);
  return found == search.summary.tests.end() ? nullptr : &found->second;
}

/// In the words of the front's table: of an accuracy, a perplexity or a squared error whichever the task has.
std::string measure(const Losses& losses, double loss, double accuracy) {
  if (std::isfinite(accuracy)) return fixed(accuracy, 4);
  return std::isfinite(losses.perplexity(loss)) ? fixed(losses.perplexity(loss), 3)
                                                : fixed(losses.mean_squared_error(loss), Losses::squared_error_digits);
}

std::string title_of_measure(const Search& search) {
  if (search.experiment.task.kind == "series") return "best MSE";
  return search.experiment.task.kind == "mad" ? "best accuracy" : "best perplexity";
}

/// Digits that tell values apart which differ by a thousandth of the range.
std::string value(double of, double range) {
  if (range >= 1000) return grouped(std::llround(of));
  return fmt::format("{:.{}f}", of, range >= 10 ? 1 : range >= 0.1 ? 3 : 6);
}

std::string boxed(const Comparison& comparison, const std::vector<run::ObjectiveInfo>& objectives) {
  std::vector<std::string> sides;
  for (std::size_t m = 0; m < objectives.size(); ++m) {
    const auto from = comparison.box.ideal[m], to = comparison.box.reference[m];
    sides.push_back(fmt::format("{} {} to {} {}", objectives[m].name, value(from, to - from), value(to, to - from), objectives[m].unit));
  }
  return fmt::format("{}", fmt::join(sides, ", "));
}

std::string render(const std::vector<Search>& searches, const Comparison& comparison) {
  using enum Table::Align;
  const auto counts = milestones(comparison);
  const bool same_length = std::ranges::all_of(searches, [&](const Search& s) { return s.evaluations == comparison.common; });
  std::vector<Table::Column> columns{{"run", left}, {"algorithm", left}, {"tokens each"},    {"evaluations"},
                                     {"failed"},    {"front"},           {"of joint front"}, {title_of_measure(searches.front())},
                                     {"on test"}};
  for (const auto count : counts) columns.push_back({fmt::format("HV {}", count)});
  if (!same_length) columns.push_back({"HV end"});
  Table table(std::move(columns));
  for (const auto& search : searches) {
    const Losses losses(search.summary);
    const auto* const test = test_of(search);
    std::vector<std::string> cells{search.name,
                                   search.experiment.search.algorithm,
                                   grouped(search.experiment.training.tokens),
                                   fmt::format("{}", search.evaluations),
                                   fmt::format("{}", search.failed),
                                   fmt::format("{}", search.summary.front.size()),
                                   fmt::format("{}", search.on_joint_front),
                                   search.best != nullptr ? measure(losses, search.best->loss, search.best->accuracy) : "–",
                                   test != nullptr ? measure(losses, test->loss, test->accuracy) : "–"};
    for (const auto count : counts) cells.push_back(fixed(search.share(count), 3));
    if (!same_length) cells.push_back(fixed(search.share(), 3));
    table.add(std::move(cells));
  }
  auto text = table.text();
  if (comparison.joint_front == 0) return text + "No candidate has a result yet.\n";
  text += fmt::format("\nHV N: share of the hypervolume that was found after N evaluations, in {}.\n",
                      boxed(comparison, searches.front().summary.started.objectives));
  text += fmt::format("The joint front has {} members.\n", comparison.joint_front);
  const auto& last = *std::ranges::min_element(searches, {}, [](const Search& search) { return search.share(); });
  for (const auto& search : searches) {
    if (&search == &last || search.share() <= last.share()) continue;
    text += fmt::format("{} was after {} evaluations where {} ended after {}.\n", search.name, search.reached(last.share()), last.name,
                        last.evaluations);
  }
  return text;
}

Json to_json(const std::vector<Search>& searches, const Comparison& comparison, const std::vector<std::string>& doubtful) {
  Json object;
  auto& objectives = object["objectives"] = Json::array();
  const auto& infos = searches.front().summary.started.objectives;
  for (std::size_t m = 0; m < infos.size(); ++m) {
    auto side = objective_json(infos[m]);
    if (comparison.joint_front > 0) {
      side["ideal"] = comparison.box.ideal[m];
      side["reference"] = comparison.box.reference[m];
    }
    objectives.push_back(std::move(side));
  }
  object["joint_front"] = comparison.joint_front;
  object["notes"] = doubtful;
  auto& runs = object["runs"] = Json::array();
  for (const auto& search : searches) {
    Json one;
    one["run"] = std::filesystem::absolute(search.name).string();
    one["run_uuid"] = search.summary.started.run_uuid;
    one["algorithm"] = search.experiment.search.algorithm;
    one["seed"] = search.summary.started.seed;
    one["tokens"] = search.experiment.training.tokens;
    one["evaluations"] = search.evaluations;
    one["failed"] = search.failed;
    one["front"] = search.summary.front;
    one["of_joint_front"] = search.on_joint_front;
    one["best"] = search.best != nullptr ? candidate_json(search.summary, search.best->outcome.id) : Json();
    auto& course = one["hypervolume"] = Json::array();
    // Where it grew: the whole of the course.
    double before = 0;
    for (std::size_t i = 0; i < search.shares.size(); ++i) {
      if (search.shares[i] == before) continue;
      before = search.shares[i];
      course.push_back({{"evaluations", search.after[i]}, {"share", before}});
    }
    runs.push_back(std::move(one));
  }
  return object;
}

}  // namespace

int compare(const CompareArguments& arguments) {
  if (arguments.runs.size() < 2) throw UserError("runs: found one, expected two or more to compare");
  std::vector<Search> searches;
  for (const auto& directory : arguments.runs) searches.push_back(read(directory));
  require_comparable(searches);
  const auto comparison = compare_searches(searches);
  const auto doubtful = doubts(searches);
  if (arguments.json) {
    fmt::print("{}\n", dump(to_json(searches, comparison, doubtful)));
  } else {
    fmt::print("{}", render(searches, comparison));
    for (const auto& line : doubtful) fmt::print("{}.\n", line);
  }
  return comparison.joint_front == 0 ? exit_code::no_valid_result : exit_code::done;
}

}  // namespace starling::tools
