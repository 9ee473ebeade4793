// `starling baselines`: architectures people compare with, trained as the candidates of a run are and put beside them, at the experiment's
// sizes and at such that they have as many parameters as a candidate.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/validity.hpp>

#include "commands.hpp"
#include "devices.hpp"
#include "end_signals.hpp"
#include "extension.hpp"
#include "front_table.hpp"
#include "load.hpp"
#include "records_json.hpp"
#include "session.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

using search::Status;

/// A baseline that is asked for, and the candidate that it is.
struct Wanted {
  std::string name;
  std::size_t depth = 0;
  std::int64_t width = 0;
  std::uint64_t matched_to = 0;  ///< 0: at the experiment's sizes
  std::int64_t target = 0;       ///< parameters without embedding of that candidate
  std::int64_t parameters = 0;   ///< without embedding
  std::uint64_t id = 0;
  bool was_there = false;
};

genome::Vary vary_of(const std::string& name) {
  if (name == "depth") return genome::Vary::depth;
  return name == "width" ? genome::Vary::width : genome::Vary::nearest;
}

class Plan {
 public:
  Plan(const OpenRun& run, const BaselinesArguments& arguments)
      : run_(run), catalogue_(experiment::catalogue(run.experiment)), dimensions_(experiment::dimensions(run.experiment)) {
    const auto depth = static_cast<std::size_t>(run.experiment.model.depth);
    auto names = arguments.names.empty() ? run.experiment.search.baselines : arguments.names;
    if (names.empty()) {
      throw UserError(fmt::format("the experiment names no baselines (search.baselines), expected --names, of: {}",
                                  fmt::join(genome::baseline_names(catalogue_), ", ")));
    }
    const auto targets = match_targets(arguments);
    for (const auto& name : names) {
      want({.name = name, .depth = depth, .width = dimensions_.width});
      for (const auto id : targets) {
        const auto target = size_of(run.summary.candidates.at(id));
        const auto match = genome::matched_baseline(catalogue_, name, depth, dimensions_, target, vary_of(arguments.vary),
                                                    [this](std::int64_t width) { return fits(width); });
        want({.name = name, .depth = match.depth, .width = match.width, .matched_to = id, .target = target});
      }
    }
  }

  const std::vector<Wanted>& wanted() const { return wanted_; }
  Additions take_additions() { return std::move(additions_); }

 private:
  std::vector<std::uint64_t> match_targets(const BaselinesArguments& arguments) const {
    const auto& summary = run_.summary;
    auto ids = arguments.match_front ? summary.front : std::vector<std::uint64_t>();
    if (arguments.match_front && ids.empty()) throw UserError("--match-front: the run has no front: no candidate has a result");
    for (const auto id : arguments.match) {
      if (!summary.candidates.contains(id)) {
        throw UserError(summary.candidates.empty() ? fmt::format("--match {}: the run has no candidates", id)
                                                   : fmt::format("--match {}: there is no such candidate, expected 1 … {}", id,
                                                                 summary.candidates.rbegin()->first));
      }
      if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    }
    return ids;
  }

  std::int64_t size_of(const run::CandidateAccepted& candidate) const {
    auto sizes = dimensions_;
    if (candidate.width > 0) sizes.width = candidate.width;
    return genome::account(catalogue_, candidate.candidate.genome, sizes).parameters.without_embedding();
  }

  /// Whether the experiment, its own classes included, is one at another width: its checkpoints say so.
  bool fits(std::int64_t width) const {
    if (run_.experiment.model.classes.empty()) return true;
    auto other = run_.experiment;
    other.model.width = width;
    try {
      experiment::parse(experiment::to_toml(other), "experiment");
      return true;
    } catch (const UserError&) {
      return false;
    }
  }

  void want(Wanted wanted) {
    const auto genome = genome::canonical(catalogue_, genome::baseline(catalogue_, wanted.name, wanted.depth));
    run::CandidateAccepted accepted;
    accepted.width = wanted.width;
    accepted.matched_to = wanted.matched_to;
    accepted.candidate.origin = search::Origin::baseline;
    accepted.candidate.name = wanted.name;
    accepted.candidate.genome = genome;
    wanted.parameters = size_of(accepted);
    if (const auto* there = find(accepted)) {
      wanted.id = there->candidate.id;
      wanted.was_there = add_what_is_missing(*there);
      wanted_.push_back(std::move(wanted));
      return;
    }
    accepted.candidate.id = run_.next_id() + additions_.candidates.size();
    accepted.candidate.hash = genome::phenotype_hash(catalogue_, genome);
    auto sizes = dimensions_;
    sizes.width = wanted.width;
    accepted.parameters = genome::account(catalogue_, genome, sizes).parameters.total();
    accepted.time_utc = run::now_utc();
    wanted.id = accepted.candidate.id;
    additions_.jobs.push_back(job_for(run_, accepted));
    additions_.candidates.push_back(std::move(accepted));
    wanted_.push_back(std::move(wanted));
  }

  /// The same architecture, among those of the run that were not given up and those that are wanted already.
  const run::CandidateAccepted* find(const run::CandidateAccepted& accepted) const {
    const auto same = [&](const run::CandidateAccepted& other) {
      const auto width = other.width > 0 ? other.width : dimensions_.width;
      return other.candidate.origin == search::Origin::baseline && width == accepted.width &&
             other.candidate.genome == accepted.candidate.genome;
    };
    for (const auto id : run_.summary.baselines) {
      const auto result = run_.summary.evaluations.find(id);
      const bool given_up = result != run_.summary.evaluations.end() && result->second.outcome.status == Status::killed;
      if (const auto& other = run_.summary.candidates.at(id); same(other) && !given_up) return &other;
    }
    const auto added = std::ranges::find_if(additions_.candidates, same);
    return added == additions_.candidates.end() ? nullptr : &*added;
  }

  /// A baseline that a run left behind without a result, or without its test. False where something was.
  bool add_what_is_missing(const run::CandidateAccepted& candidate) {
    const auto id = candidate.candidate.id;
    const auto is_job = [&](const actors::Job& job) { return job.id == id; };
    if (std::ranges::any_of(additions_.jobs, is_job)) return false;
    const auto result = run_.summary.evaluations.find(id);
    if (result == run_.summary.evaluations.end()) {
      additions_.jobs.push_back(job_for(run_, candidate));
      return false;
    }
    const auto& checkpoint = result->second.checkpoint.path;
    if (!run_.experiment.worker_options.test || checkpoint.empty() || run_.summary.tests.contains(id)) return true;
    additions_.jobs.push_back(job_for(run_, candidate, 0, checkpoint));
    return false;
  }

  const OpenRun& run_;
  const genome::Catalogue& catalogue_;
  genome::Dimensions dimensions_;
  std::vector<Wanted> wanted_;
  Additions additions_;
};

double off_by(const Wanted& wanted) {
  return 100.0 * static_cast<double>(wanted.parameters - wanted.target) / static_cast<double>(wanted.target);
}

/// What was chosen, and how near it comes.
std::string match_text(const Wanted& wanted) {
  return fmt::format(
      "{} as large as candidate {}: {} LIVs × {} channels, {} parameters without embedding where that has {} ({:+.1f} %){}\n", wanted.name,
      wanted.matched_to, wanted.depth, wanted.width, grouped(wanted.parameters), grouped(wanted.target), off_by(wanted),
      wanted.was_there ? fmt::format("; trained already: candidate {}", wanted.id) : "");
}

nlohmann::ordered_json wanted_json(const std::vector<Wanted>& all) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& wanted : all) {
    nlohmann::ordered_json entry{{"name", wanted.name},   {"candidate", wanted.id},          {"depth", wanted.depth},
                                 {"width", wanted.width}, {"parameters", wanted.parameters}, {"was_there", wanted.was_there}};
    entry["matched_to"] = wanted.matched_to == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(wanted.matched_to);
    if (wanted.matched_to != 0) {
      entry["target_parameters"] = wanted.target;
      entry["percent_off"] = off_by(wanted);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

int train(OpenRun run, const BaselinesArguments& arguments) {
  const auto directory = run.directory;
  Plan plan(run, arguments);
  const auto wanted = plan.wanted();
  if (!arguments.quiet) {
    for (const auto& each : wanted) {
      if (each.matched_to != 0) tell(match_text(each));
    }
  }
  auto additions = plan.take_additions();
  const int signal = extend(std::move(run), std::move(additions), {arguments.on, arguments.quiet});
  const auto summary = run::summarise(directory);
  if (arguments.json) {
    auto object = front_json(summary);
    object["wanted"] = wanted_json(wanted);
    object["run"] = directory.string();
    fmt::print("{}\n", dump(object));
  } else {
    fmt::print("{}", render_front(summary));
  }
  if (!arguments.quiet) tell(fmt::format("run directory: {}\n", directory.string()));
  if (signal != 0) return exit_code_of(signal);
  const bool all = std::ranges::all_of(wanted, [&](const Wanted& each) {
    const auto found = summary.evaluations.find(each.id);
    return found != summary.evaluations.end() && found->second.outcome.status == Status::ok;
  });
  return all ? exit_code::done : exit_code::no_valid_result;
}

}  // namespace

int baselines(const BaselinesArguments& arguments) {
  if (std::filesystem::is_directory(arguments.source)) {
    if (!arguments.overrides.empty()) {
      throw UserError(fmt::format("{}: a run has its experiment already, found '{}'", arguments.source.string(), arguments.overrides[0]));
    }
    if (arguments.out) throw UserError(fmt::format("--out: the baselines go into the run, {}", arguments.source.string()));
    return train(OpenRun(arguments.source), arguments);
  }
  if (arguments.match_front || !arguments.match.empty()) {
    throw UserError(
        fmt::format("{}: an experiment has no candidates to match yet, expected the directory of a run", arguments.source.string()));
  }
  const auto experiment = on_devices(load_experiment(arguments.source, arguments.overrides), arguments.on);
  require_readable_files(experiment);
  for (const auto& name : arguments.names) {
    genome::baseline(experiment::catalogue(experiment), name, static_cast<std::size_t>(experiment.model.depth));
  }
  NewRun new_run(experiment, arguments.out);
  Screen screen(experiment, screen_style(arguments.quiet));
  if (const int number = new_run.prepare_data(experiment, screen); number != 0) return exit_code_of(number);
  try {
    return train(OpenRun(new_run.directory(), experiment), arguments);
  } catch (const UserError&) {
    if (run::summarise(new_run.directory()).evaluations.empty()) new_run.discard();
    throw;
  }
}

}  // namespace starling::tools
