#include <starling/experiment/placement.hpp>

#include <algorithm>

namespace starling::experiment {

bool on_gpus(const Experiment& experiment) {
  return std::ranges::any_of(experiment.devices, [](const std::string& device) { return device != "cpu"; });
}

std::vector<std::string> placement(const Experiment& experiment) {
  if (!on_gpus(experiment)) return std::vector<std::string>(static_cast<std::size_t>(experiment.workers), "cpu");
  std::vector<std::string> devices;
  for (std::int64_t i = 0; i < experiment.candidates_per_device; ++i) {
    devices.insert(devices.end(), experiment.devices.begin(), experiment.devices.end());
  }
  return devices;
}

std::int64_t workers_per_device(const Experiment& experiment) {
  return on_gpus(experiment) ? experiment.candidates_per_device : experiment.workers;
}

void limit_workers(Experiment& experiment, std::int64_t candidates) {
  candidates = std::max<std::int64_t>(candidates, 1);
  experiment.workers = std::min(experiment.workers, candidates);
  if (!on_gpus(experiment)) return;
  const auto devices = std::min(std::ssize(experiment.devices), candidates);
  experiment.devices.resize(static_cast<std::size_t>(devices));
  experiment.candidates_per_device = std::min(experiment.candidates_per_device, (candidates + devices - 1) / devices);
}

}  // namespace starling::experiment
