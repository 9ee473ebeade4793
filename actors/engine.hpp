// The engine: one search from its first candidate to its last record. Owns the actor system; this header knows no CAF.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <starling/actors/evaluate.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/run/journal.hpp>

namespace starling::actors {

/// Called from one actor, never from two threads at once. An exception ends the run.
struct Observer {
  std::function<void(const run::JournalEntry&)> on_record;                      ///< durable, in journal order
  std::function<void(const std::string& worker, const Progress&)> on_progress;  ///< now and then
};

/// In place of a search: candidates and trainings that are added to a run.
struct Extension {
  std::shared_ptr<run::Journal> journal;  ///< of the run, open
  std::shared_ptr<const std::vector<run::JournalEntry>> earlier;
  run::ExtensionStarted started;
  std::vector<run::CandidateAccepted> candidates;  ///< new ones, recorded first
  std::vector<Job> jobs;                           ///< of new candidates and old ones, at most one per id
};

struct EngineSetup {
  experiment::Experiment experiment;
  std::filesystem::path directory;  ///< of the run; exists, has no journal yet unless `extension` is given
  run::RunStarted started;          ///< recorded first, unless `extension` is given
  std::optional<Extension> extension;
  std::filesystem::path worker_program;  ///< processes of it are started, as placement() of the experiment says …
  Evaluate evaluate;                     ///< … unless this is given: then as many evaluators run in this process
  Observer observer;
  std::chrono::milliseconds publish_pause{2000};
  std::chrono::milliseconds ready_within{300'000};  ///< a worker process that takes longer to read its task is killed
};

struct RunResult {
  std::string reason;         ///< "budget", "space exhausted", of an extension "done", "interrupted", or what went wrong
  bool complete = false;      ///< the budget was used up (or the space), or the extension is done
  bool bad_input = false;     ///< what went wrong is the user's to mend
  std::string publish_error;  ///< run.h5 is behind the journal: why
};

class Engine {
 public:
  /// Creates the journal and starts the search, or the extension. Throws Failure.
  explicit Engine(EngineSetup setup);
  /// Ends what still runs, workers included.
  ~Engine();

  /// Ends the search: no more work is handed out, workers end, everything is recorded. Called again, it kills the workers that
  /// have not ended yet. Returns at once.
  void stop();
  std::optional<RunResult> wait_for(std::chrono::milliseconds time);

 private:
  struct System;
  std::unique_ptr<System> system_;
};

}  // namespace starling::actors
