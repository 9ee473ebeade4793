// What every command that starts an engine does around it: the run directory, the screen, signals.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <starling/actors/engine.hpp>
#include <starling/experiment/experiment.hpp>

#include "screen.hpp"

namespace starling::tools {

/// A pipe that is closed is no reason to end.
void prepare_process();

/// A message on standard error; nothing fails where that is closed.
void tell(const std::string& line);
Screen::Style screen_style(bool quiet);

/// Errors of the data that show before a process is started; the rest (no text, too little) a worker finds when it reads it. Throws
/// UserError.
void require_readable_files(const experiment::Experiment& experiment);

/// Who starts what, and when.
run::RunStarted describe_start(const experiment::Experiment& experiment);
run::ExtensionStarted describe_extension();

/// The directory of a new run: `out`, or runs/NAME-N.
class NewRun {
 public:
  /// Makes it, with experiment.toml in it. Throws UserError and Failure.
  NewRun(const experiment::Experiment& experiment, const std::optional<std::filesystem::path>& out);

  const std::filesystem::path& directory() const { return directory_; }
  /// Makes tokens of the text where that is to be done before. The signal that stopped it, or 0; then, and where it throws, nothing is
  /// left.
  int prepare_data(const experiment::Experiment& experiment, Screen& screen);
  /// Nothing of a run that has not begun stays.
  void discard() const;

 private:
  std::filesystem::path directory_;
  bool made_ = true;
};

struct Ending {
  actors::RunResult result;
  int signal = 0;  ///< the first one
};

/// Runs the engine to its end. The first signal ends the search, the second kills workers that have not ended by then, the third ends the
/// process where even that takes too long (files are whole).
Ending run_engine(actors::EngineSetup setup, Screen& screen);

}  // namespace starling::tools
