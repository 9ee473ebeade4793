#include "extension.hpp"

#include <fmt/format.h>

#include <utility>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/experiment/placement.hpp>
#include <starling/run/publisher.hpp>

#include "devices.hpp"
#include "session.hpp"
#include "sibling.hpp"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;

run::Journal begin_journal(const fs::path& directory, const experiment::Experiment& experiment) {
  auto journal = run::Journal::create(directory / "journal");
  journal.append(describe_start(experiment));
  run::RunEnded ended;
  ended.reason = "not searched";
  ended.time_utc = run::now_utc();
  journal.append(ended);
  journal.sync();
  return journal;
}

/// Relative globs start where the command is run, as those of the search did. Where the run holds the tokens nobody reads the text.
void require_files(const OpenRun& run) {
  if (fs::exists(run.directory / "data")) return;
  try {
    require_readable_files(run.experiment);
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}\nrelative paths start at the current directory: run this where the search was run", error.what()));
  }
}

void republish(const OpenRun& run) {
  try {
    run::Publisher publisher(run.directory);
    for (const auto& entry : *run.entries) publisher.add(entry);
    publisher.publish();
  } catch (const Failure& error) {
    tell(fmt::format("run.h5 is behind the journal: {}\n", error.what()));
  }
}

}  // namespace

OpenRun::OpenRun(const fs::path& run) : directory(fs::absolute(run)) {
  run::summarise(run);  // says what is wrong with it
  auto opened = run::Journal::open(run / "journal");
  journal = std::make_shared<run::Journal>(std::move(opened.journal));
  entries = std::make_shared<const std::vector<run::JournalEntry>>(std::move(opened.content.entries));
  summary = run::summarise(*entries);
  experiment = experiment::parse(summary.started.experiment_toml, (run / "experiment.toml").string());
}

OpenRun::OpenRun(fs::path new_directory, const experiment::Experiment& of)
    : directory(std::move(new_directory)), experiment(of), journal(std::make_shared<run::Journal>(begin_journal(directory, of))) {
  entries = std::make_shared<const std::vector<run::JournalEntry>>(run::read_journal(directory / "journal").entries);
  summary = run::summarise(*entries);
}

actors::Job job_for(const OpenRun& run, const run::CandidateAccepted& candidate, std::int64_t tokens, std::string test_of) {
  actors::Job job;
  job.id = candidate.candidate.id;
  job.training_seed = derive_seed(run.experiment.seed, Purpose::training_seed, job.id);
  job.genome = candidate.candidate.genome;
  job.width = candidate.width;
  job.tokens = tokens;
  job.test_of = std::move(test_of);
  return job;
}

int extend(OpenRun run, Additions additions, const ExtensionOptions& options) {
  if (additions.jobs.empty()) {
    republish(run);
    return 0;
  }
  prepare_process();
  require_files(run);
  auto experiment = on_devices(run.experiment, options.on);
  experiment::limit_workers(experiment, static_cast<std::int64_t>(additions.jobs.size()));

  fs::create_directory(run.directory / "logs");  // a copy of a run may lack them
  Screen screen(experiment, screen_style(options.quiet));
  screen.expect(static_cast<std::int64_t>(additions.jobs.size()));
  for (const auto& entry : *run.entries) {
    if (std::holds_alternative<run::CandidateAccepted>(entry.record)) screen.record(entry);
  }
  screen.say(fmt::format("{}: {} to train on {}; everything goes to {}", experiment.name, additions.jobs.size(), devices_text(experiment),
                         run.directory.string()));

  actors::EngineSetup setup;
  setup.experiment = std::move(experiment);
  setup.directory = run.directory;
  setup.worker_program = sibling_program("starling-worker");
  setup.extension = actors::Extension{std::move(run.journal), std::move(run.entries), describe_extension(), std::move(additions.candidates),
                                      std::move(additions.jobs)};
  const auto ending = run_engine(std::move(setup), screen);
  screen.finish();
  const auto& result = ending.result;
  if (!result.complete && result.reason != "interrupted") {
    if (result.bad_input) throw UserError(result.reason);
    throw Failure(fmt::format("{} (recorded so far: {})", result.reason, run.directory.string()));
  }
  if (!result.publish_error.empty()) tell(fmt::format("run.h5 is behind the journal: {}\n", result.publish_error));
  return result.complete ? 0 : ending.signal;
}

}  // namespace starling::tools
