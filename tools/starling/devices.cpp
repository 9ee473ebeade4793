#include "devices.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include <starling/base/error.hpp>
#include <starling/experiment/placement.hpp>

#include "commands.hpp"
#include "sibling.hpp"

namespace starling::tools {
namespace {

/// Without the driver's library no program finds a GPU, and LibTorch, which takes half a second to load, need not be asked for one.
bool has_driver() {
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  dlclose(driver);
  return true;
}

struct Gpus {
  std::vector<std::string> names;
  std::string why_none;
};

Gpus ask_worker() {
  std::string output;
  const auto program = sibling_program("starling-worker");
  const int code = run_program(program, {"devices"}, output);
  const auto found = nlohmann::json::parse(output, nullptr, false);
  if (code != 0 || !found.is_object()) throw Failure(fmt::format("'{} devices' ended with exit code {}", program.string(), code));
  return {found.at("gpus"), found.at("why_none")};
}

}  // namespace

void resolve_devices(experiment::Experiment& experiment) {
  auto& devices = experiment.devices;
  if (devices.empty()) {
    if (has_driver()) devices = ask_worker().names;
    if (devices.empty()) devices = {"cpu"};
    if (!experiment::on_gpus(experiment) && experiment.training.precision == "tf32") {
      throw UserError(
          fmt::format("{}: 'training.precision' is \"tf32\", which GPUs alone have, and there is none here; expected \"f32\" or \"bf16\"",
                      experiment.source));
    }
    return;
  }
  if (!experiment::on_gpus(experiment)) return;
  const auto found = ask_worker();
  for (const auto& device : devices) {
    if (std::ranges::find(found.names, device) != found.names.end()) continue;
    const auto there = found.names.empty() ? fmt::format("there is no GPU: {}", found.why_none)
                                           : fmt::format("the GPUs here are {}", fmt::join(found.names, ", "));
    throw UserError(fmt::format("{}: 'devices' names {}, but {}; expected {}, or \"auto\"", experiment.source, device, there,
                                found.names.empty() ? "[\"cpu\"]" : "some of them"));
  }
}

experiment::Experiment on_devices(const experiment::Experiment& experiment, const DeviceArguments& arguments) {
  auto chosen = experiment;
  if (!arguments.devices.empty()) {
    const bool is_auto = arguments.devices == std::vector<std::string>{"auto"};
    const auto value = is_auto ? "auto" : fmt::format("[\"{}\"]", fmt::join(arguments.devices, "\", \""));
    chosen = experiment::parse(experiment::to_toml(experiment), experiment.source, {"devices=" + value});
  }
  resolve_devices(chosen);
  if (arguments.workers) (experiment::on_gpus(chosen) ? chosen.candidates_per_device : chosen.workers) = *arguments.workers;
  return chosen;
}

std::string devices_text(const experiment::Experiment& experiment) {
  const auto counted = [](std::int64_t count, std::string_view name) { return fmt::format("{} {}{}", count, name, count == 1 ? "" : "s"); };
  const auto on_cpu = "the CPU, " + counted(experiment.workers, "worker");
  const auto on_each = counted(experiment.candidates_per_device, "candidate") + " on each";
  if (experiment::on_gpus(experiment)) return fmt::format("{}, {}", fmt::join(experiment.devices, ", "), on_each);
  return experiment.devices.empty() ? fmt::format("every GPU, {}, or without one {}", on_each, on_cpu) : on_cpu;
}

}  // namespace starling::tools
