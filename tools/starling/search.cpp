// `starling run` from the run directory to the front: creates the one, starts the engine, listens to signals, prints the other.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>
#include <starling/experiment/placement.hpp>
#include <starling/run/summary.hpp>

#include "commands.hpp"
#include "devices.hpp"
#include "end_signals.hpp"
#include "front_table.hpp"
#include "records_json.hpp"
#include "run.hpp"
#include "session.hpp"
#include "sibling.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

std::string occupancy(const run::RunSummary& summary, std::size_t workers) {
  if (!summary.ended || summary.ended->worker_s <= 0) return {};
  const auto& ended = *summary.ended;
  auto text = fmt::format("{} evaluations in {}; {} worker{} busy {:.1f} % of the time", summary.evaluations.size(), duration(ended.wall_s),
                          workers, workers == 1 ? "" : "s", 100 * ended.busy_s / ended.worker_s);
  if (ended.devices.size() < 2) return text;
  for (const auto& use : ended.devices) text += fmt::format("\n  {} {:.1f} %", use.device, 100 * use.busy_s / use.worker_s);
  return text;
}

}  // namespace

int search(experiment::Experiment experiment, const RunArguments& arguments) {
  prepare_process();
  require_readable_files(experiment);
  resolve_devices(experiment);
  const auto worker_program = sibling_program("starling-worker");
  NewRun new_run(experiment, arguments.out);
  const auto& directory = new_run.directory();

  actors::EngineSetup setup;
  setup.experiment = experiment;
  setup.directory = directory;
  setup.started = describe_start(experiment);
  setup.worker_program = worker_program;

  Screen screen(experiment, screen_style(arguments.quiet));
  if (const int number = new_run.prepare_data(experiment, screen); number != 0) return exit_code_of(number);
  screen.say(fmt::format("{}: searching on {}; everything goes to {}", experiment.name, devices_text(experiment), directory.string()));
  const auto ending = run_engine(std::move(setup), screen);
  screen.finish();

  const auto& result = ending.result;
  if (!result.complete && result.reason != "interrupted") {
    if (result.bad_input && run::summarise(directory).evaluations.empty()) {
      new_run.discard();
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
    fmt::print("{}\n{}\n", render_front(summary), occupancy(summary, experiment::placement(experiment).size()));
  }
  if (!arguments.quiet) tell(fmt::format("run directory: {}\n", directory.string()));
  if (!result.complete) return exit_code_of(ending.signal);
  return summary.front.empty() ? exit_code::no_valid_result : exit_code::done;
}

}  // namespace starling::tools
