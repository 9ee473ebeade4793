#include "session.hpp"

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

#include <starling/base/error.hpp>
#include <starling/experiment/objectives.hpp>
#include <starling/run/files.hpp>
#include <starling/tasks/documents.hpp>
#include <starling/tasks/find_files.hpp>

#include "end_signals.hpp"
#include "git_commit.hpp"
#include "packing.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

void prepare_process() { signal(SIGPIPE, SIG_IGN); }

void tell(const std::string& line) { std::fwrite(line.data(), 1, line.size(), stderr); }

Screen::Style screen_style(bool quiet) {
  if (quiet) return Screen::Style::silent;
  const bool terminal = isatty(STDERR_FILENO) == 1 && std::getenv("TERM") != nullptr && std::string(std::getenv("TERM")) != "dumb";
  return terminal ? Screen::Style::block : Screen::Style::lines;
}

void require_readable_files(const experiment::Experiment& experiment) {
  if (experiment.task.files.empty()) return;
  const auto& task = experiment.task;
  const bool text = task.kind == "language-model" && !experiment::reads_shards(experiment);
  for (const auto& file : text ? tasks::find_text({.globs = task.files}) : tasks::find_files(task.files)) {
    if (access(file.c_str(), R_OK) != 0) throw UserError(fmt::format("{}: cannot read {}", experiment.source, file.string()));
  }
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

run::ExtensionStarted describe_extension() {
  run::ExtensionStarted started;
  started.time_utc = run::now_utc();
  started.command_line = command_line();
  started.starling_version = STARLING_VERSION;
  started.git_commit = git_commit;
  started.host = host_name();
  return started;
}

NewRun::NewRun(const experiment::Experiment& experiment, const std::optional<fs::path>& out) {
  if (out) {
    made_ = !fs::exists(*out);
    run::create_run_directory(*out);
    directory_ = fs::absolute(*out);
  } else {
    directory_ = fs::absolute(run::next_run_directory("runs", experiment.name));
  }
  try {
    fs::create_directory(directory_ / "checkpoints");
    fs::create_directory(directory_ / "logs");
    run::write_durably(directory_ / "experiment.toml", experiment::to_toml(experiment));
  } catch (...) {
    discard();
    throw;
  }
}

int NewRun::prepare_data(const experiment::Experiment& experiment, Screen& screen) {
  if (!packs_text(experiment)) return 0;
  const EndSignals signals;
  screen.say(fmt::format("making tokens of the text: {}", (directory_ / "data").string()));
  try {
    const auto index = pack_text(experiment, directory_, [&] { signals.raise(); });
    screen.say(fmt::format("{} documents: {} tokens of training, {} of validation, {} of test",
                           grouped(index.parts[0].documents + index.parts[1].documents + index.parts[2].documents),
                           grouped(index.parts[0].tokens), grouped(index.parts[1].tokens), grouped(index.parts[2].tokens)));
  } catch (const EndSignals::Taken& stopped) {
    discard();
    return stopped.signal;
  } catch (...) {
    discard();
    throw;
  }
  return 0;
}

void NewRun::discard() const {
  for (const auto& entry : fs::directory_iterator(directory_)) fs::remove_all(entry);
  if (made_) fs::remove(directory_);
}

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

}  // namespace starling::tools
