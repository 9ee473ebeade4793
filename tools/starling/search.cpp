// `starling run` from the run directory to the front: creates the one, starts the engine, listens to signals, prints the other.
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include <starling/actors/engine.hpp>
#include <starling/base/error.hpp>
#include <starling/experiment/objectives.hpp>
#include <starling/run/files.hpp>
#include <starling/run/summary.hpp>
#include <starling/tasks/find_files.hpp>

#include "commands.hpp"
#include "end_signals.hpp"
#include "front_table.hpp"
#include "git_commit.hpp"
#include "packing.hpp"
#include "records_json.hpp"
#include "run.hpp"
#include "screen.hpp"
#include "sibling.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;

/// Errors of the data that show before a process is started; the rest (no text, too little) a worker finds when it reads it.
void require_readable_files(const experiment::Experiment& experiment) {
  if (experiment.task.files.empty()) return;
  for (const auto& file : tasks::find_files(experiment.task.files)) {
    if (access(file.c_str(), R_OK) != 0) throw UserError(fmt::format("{}: cannot read {}", experiment.source, file.string()));
  }
}

/// As it was typed, words separated by blanks.
std::string command_line() {
  std::ifstream stream("/proc/self/cmdline");
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  std::replace(text.begin(), text.end(), '\0', ' ');
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, HOST_NAME_MAX);
  return name;
}

run::RunStarted describe_start(const experiment::Experiment& experiment) {
  run::RunStarted started;
  started.run_uuid = to_string(boost::uuids::random_generator()());
  started.time_utc = run::now_utc();
  started.experiment_toml = experiment::to_toml(experiment);
  started.command_line = command_line();
  started.starling_version = STARLING_VERSION;
  started.git_commit = git_commit;
  started.host = host_name();
  started.seed = experiment.seed;
  started.objectives = experiment::objectives_of(experiment);
  started.population = static_cast<std::uint64_t>(experiment.search.population);
  started.catalogue = experiment.model.catalogue;
  return started;
}

/// The journal must not become descriptor 2 where somebody closed standard error: reads find the end, writes fail as before.
void reserve_standard_descriptors() {
  int number = 0;
  do {
    number = open("/dev/null", O_RDONLY);
  } while (number >= 0 && number <= STDERR_FILENO);
  if (number >= 0) close(number);
}

/// A message on standard error; nothing fails where that is closed.
void tell(const std::string& line) { std::fwrite(line.data(), 1, line.size(), stderr); }

struct Ending {
  actors::RunResult result;
  int signal = 0;  ///< the first one
};

/// Runs the engine to its end. The first signal ends the search, the second kills workers that have not ended by then, the third ends the
/// process where even that takes too long (files are whole).
Ending run_engine(actors::EngineSetup setup, Screen& screen) {
  const EndSignals signals;
  setup.observer.on_record = [&](const run::JournalEntry& entry) { screen.record(entry); };
  setup.observer.on_progress = [&](const std::string& worker, const actors::Progress& progress) { screen.progress(worker, progress); };
  Ending ending;
  actors::Engine engine(std::move(setup));
  int taken = 0;
  while (true) {
    if (auto result = engine.wait_for(std::chrono::milliseconds(100))) {
      ending.result = std::move(*result);
      return ending;
    }
    screen.refresh();
    const int number = signals.take();
    if (number == 0) continue;
    if (++taken == 3) {
      screen.finish();
      _exit(exit_code_of(ending.signal));
    }
    if (taken == 1) ending.signal = number;
    screen.say(taken == 1 ? "stopping: what is finished is recorded, what is being trained is not (once more to stop at once)"
                          : "stopping at once");
    engine.stop();
  }
}

bool has_result(const run::RunSummary& summary) {
  for (const auto& [id, evaluation] : summary.evaluations) {
    if (evaluation.outcome.status == search::Status::ok) return true;
  }
  return false;
}

std::string occupancy(const run::RunSummary& summary, std::int64_t workers) {
  if (!summary.ended || summary.ended->worker_s <= 0) return {};
  const auto& ended = *summary.ended;
  return fmt::format("{} evaluations in {}; {} worker{} busy {:.1f} % of the time", summary.evaluations.size(), duration(ended.wall_s),
                     workers, workers == 1 ? "" : "s", 100 * ended.busy_s / ended.worker_s);
}

/// Nothing of a run that has not begun stays.
void discard(const fs::path& directory, bool made) {
  for (const auto& entry : fs::directory_iterator(directory)) fs::remove_all(entry);
  if (made) fs::remove(directory);
}

/// Makes tokens of the text. The signal that stopped it, or 0.
int prepare_data(const experiment::Experiment& experiment, const fs::path& directory, Screen& screen) {
  const EndSignals signals;
  screen.say(fmt::format("making tokens of the text: {}", (directory / "data").string()));
  try {
    const auto index = pack_text(experiment, directory, [&] { signals.raise(); });
    screen.say(fmt::format("{} documents: {} tokens of training, {} of validation, {} of test",
                           grouped(index.parts[0].documents + index.parts[1].documents + index.parts[2].documents),
                           grouped(index.parts[0].tokens), grouped(index.parts[1].tokens), grouped(index.parts[2].tokens)));
  } catch (const EndSignals::Taken& stopped) {
    return stopped.signal;
  }
  return 0;
}

}  // namespace

int search(const experiment::Experiment& experiment, const RunArguments& arguments) {
  reserve_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  require_readable_files(experiment);
  const auto worker_program = sibling_program("starling-worker");

  fs::path directory;
  bool made = true;
  if (arguments.out) {
    made = !fs::exists(*arguments.out);
    run::create_run_directory(*arguments.out);
    directory = fs::absolute(*arguments.out);
  } else {
    directory = fs::absolute(run::next_run_directory("runs", experiment.name));
  }
  fs::create_directory(directory / "checkpoints");
  fs::create_directory(directory / "logs");
  run::write_durably(directory / "experiment.toml", experiment::to_toml(experiment));

  actors::EngineSetup setup;
  setup.experiment = experiment;
  setup.directory = directory;
  setup.started = describe_start(experiment);
  setup.worker_program = worker_program;

  const bool terminal = isatty(STDERR_FILENO) == 1 && std::getenv("TERM") != nullptr && std::string(std::getenv("TERM")) != "dumb";
  Screen screen(experiment, arguments.quiet ? Screen::Style::silent : terminal ? Screen::Style::block : Screen::Style::lines);
  if (packs_text(experiment)) {
    try {
      if (const int number = prepare_data(experiment, directory, screen); number != 0) {
        discard(directory, made);
        return exit_code_of(number);
      }
    } catch (...) {
      discard(directory, made);
      throw;
    }
  }
  screen.say(fmt::format("{}: searching, everything goes to {}", experiment.name, directory.string()));
  const auto ending = run_engine(std::move(setup), screen);
  screen.finish();

  const auto& result = ending.result;
  if (!result.complete && result.reason != "interrupted") {
    if (result.bad_input && run::summarise(directory).evaluations.empty()) {
      discard(directory, made);
      throw UserError(result.reason);
    }
    throw Failure(fmt::format("{} (recorded so far: {})", result.reason, directory.string()));
  }
  if (!result.publish_error.empty()) tell(fmt::format("run.h5 is behind the journal: {}\n", result.publish_error));
  const auto summary = run::summarise(directory);
  if (arguments.json) {
    auto data = front_json(summary);
    data["run"] = directory.string();
    fmt::print("{}\n", dump(data));
  } else {
    fmt::print("{}\n{}\n", render_front(summary), occupancy(summary, experiment.workers));
  }
  if (!arguments.quiet) tell(fmt::format("run directory: {}\n", directory.string()));
  if (!result.complete) return exit_code_of(ending.signal);
  return has_result(summary) ? exit_code::done : exit_code::no_valid_result;
}

}  // namespace starling::tools
