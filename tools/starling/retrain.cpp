// `starling retrain`: candidates of a run once more, on more tokens than the search could afford (the second stage of the paper), and
// whether that changes their order.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>

#include "budgets.hpp"
#include "commands.hpp"
#include "end_signals.hpp"
#include "extension.hpp"
#include "records_json.hpp"

namespace starling::tools {
namespace {

using search::Status;

void require_tokens(const OpenRun& run, const RetrainArguments& arguments) {
  const auto& training = run.experiment.training;
  if (arguments.tokens < training.batch_tokens) {
    throw UserError(
        fmt::format("--tokens is {}, expected at least one batch: training.batch_tokens = {}", arguments.tokens, training.batch_tokens));
  }
  if (arguments.tokens == training.tokens) {
    throw UserError(
        fmt::format("--tokens is {}, which is what the search trained every candidate on: there is nothing to compare", arguments.tokens));
  }
}

/// Front, baselines and ids, each once.
std::vector<std::uint64_t> asked_for(const run::RunSummary& summary, const RetrainArguments& arguments) {
  std::vector<std::uint64_t> ids;
  const auto add = [&](std::uint64_t id) {
    if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
  };
  if (arguments.front) {
    if (summary.front.empty()) throw UserError(fmt::format("{}: the front is empty: no candidate has a result", arguments.run.string()));
    std::ranges::for_each(summary.front, add);
  }
  if (arguments.baselines) {
    for (const auto id : summary.baselines) {
      const auto found = summary.evaluations.find(id);
      if (found != summary.evaluations.end() && found->second.outcome.status == Status::ok) add(id);
    }
  }
  for (const auto id : arguments.ids) {
    const auto found = summary.evaluations.find(id);
    if (!summary.candidates.contains(id)) {
      throw UserError(fmt::format("{}: there is no candidate {}; those of the front are {}", arguments.run.string(), id,
                                  fmt::join(summary.front, ", ")));
    }
    if (found == summary.evaluations.end() || found->second.outcome.status != Status::ok) {
      throw UserError(fmt::format("{}: candidate {} {}, expected one with a result", arguments.run.string(), id,
                                  found == summary.evaluations.end() ? "has no result" : search::to_string(found->second.outcome.status)));
    }
    add(id);
  }
  return ids;
}

/// What is missing of the retrainings: all of one, or its test.
std::vector<actors::Job> missing(const OpenRun& run, const std::vector<std::uint64_t>& ids, std::int64_t tokens) {
  std::vector<actors::Job> jobs;
  for (const auto id : ids) {
    const auto& candidate = run.summary.candidates.at(id);
    const auto done = run.summary.retrainings.find({id, tokens});
    if (done == run.summary.retrainings.end() || done->second.outcome.status == Status::killed) {
      jobs.push_back(job_for(run, candidate, tokens));
    } else if (run.experiment.worker_options.test && !done->second.checkpoint.path.empty() &&
               !run.summary.retraining_tests.contains({id, tokens})) {
      jobs.push_back(job_for(run, candidate, tokens, done->second.checkpoint.path));
    }
  }
  return jobs;
}

}  // namespace

int retrain(const RetrainArguments& arguments) {
  int signal = 0;
  std::vector<std::uint64_t> ids;
  {
    OpenRun run(arguments.run);
    require_tokens(run, arguments);
    ids = asked_for(run.summary, arguments);
    auto jobs = missing(run, ids, arguments.tokens);
    signal = extend(std::move(run), {{}, std::move(jobs)}, {arguments.on, arguments.quiet});
  }
  const auto summary = run::summarise(arguments.run);
  const auto comparison = compare_budgets(summary, arguments.tokens);
  if (arguments.json) {
    auto object = nlohmann::ordered_json{{"run", std::filesystem::absolute(arguments.run).string()}};
    object.update(budgets_json(summary, comparison));
    fmt::print("{}\n", dump(object));
  } else {
    fmt::print("{}", render_budgets(summary, comparison));
  }
  if (signal != 0) return exit_code_of(signal);
  const bool any = std::ranges::any_of(ids, [&](std::uint64_t id) {
    const auto found = summary.retrainings.find({id, arguments.tokens});
    return found != summary.retrainings.end() && found->second.outcome.status == Status::ok;
  });
  return any ? exit_code::done : exit_code::no_valid_result;
}

}  // namespace starling::tools
