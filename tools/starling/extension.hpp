// What is added to a run after its search: `starling baselines` and `starling retrain`. Everything goes to the run's own journal and
// tables.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include <starling/actors/engine.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/run/journal.hpp>
#include <starling/run/summary.hpp>

#include "commands.hpp"
#include "screen.hpp"

namespace starling::tools {

/// A run that nobody else writes to as long as this lives.
struct OpenRun {
  std::filesystem::path directory;
  experiment::Experiment experiment;
  std::shared_ptr<run::Journal> journal;
  std::shared_ptr<const std::vector<run::JournalEntry>> entries;
  run::RunSummary summary;

  /// Throws UserError: no run, one that is still searched, no sound journal.
  explicit OpenRun(const std::filesystem::path& run);
  /// A run that begins now, in a directory that has no journal yet, and whose search does not.
  OpenRun(std::filesystem::path new_directory, const experiment::Experiment& of);

  std::uint64_t next_id() const { return summary.candidates.empty() ? 1 : summary.candidates.rbegin()->first + 1; }
};

/// Work for a run: at most one job per candidate.
struct Additions {
  std::vector<run::CandidateAccepted> candidates;
  std::vector<actors::Job> jobs;
};

/// A job for a candidate of the run, with the seed that its search trained it with, or would have. `tokens` > 0 makes it a retraining,
/// `test_of` a test.
actors::Job job_for(const OpenRun& run, const run::CandidateAccepted& candidate, std::int64_t tokens = 0, std::string test_of = {});

/// What a command that adds to a run is told besides.
struct ExtensionOptions {
  DeviceArguments on;
  bool quiet = false;
};

/// Does the jobs, on the devices of the experiment where nothing else is said; without any it makes run.h5 what the journal is, which it is
/// not where the run was killed or the file is gone. The signal that ended it early, or 0. Throws UserError and Failure; what was finished is
/// recorded in any case.
int extend(OpenRun run, Additions additions, const ExtensionOptions& options);

}  // namespace starling::tools
