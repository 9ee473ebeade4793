#include "run.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "configuration.hpp"
#include "load.hpp"

namespace starling::tools {

int run(const RunArguments& arguments) {
  const auto experiment = load_experiment(arguments.experiment, arguments.overrides);
  if (arguments.print_config) return print_config(experiment, arguments.json);
  if (arguments.dry_run) return dry_run(experiment, arguments.tflops, arguments.json);
  return search(experiment, arguments);
}

int print_config(const experiment::Experiment& experiment, bool json) {
  if (json) {
    fmt::print("{}\n", configuration_json(experiment).dump(2));
  } else {
    fmt::print("{}", experiment::to_toml(experiment));
  }
  return exit_code::done;
}

}  // namespace starling::tools
