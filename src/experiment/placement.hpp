// Where the worker processes of an experiment train.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <starling/experiment/experiment.hpp>

namespace starling::experiment {

/// Whether its devices are GPUs. Devices that nobody has filled in ("auto") count as the CPU, here and below.
bool on_gpus(const Experiment& experiment);

/// The device of each worker process. On GPUs candidates_per_device of them on each, the first ones on different GPUs; on the CPU
/// `workers`.
std::vector<std::string> placement(const Experiment& experiment);

/// Worker processes that share the memory of one device.
std::int64_t workers_per_device(const Experiment& experiment);

/// No more workers, and devices, than so many candidates need.
void limit_workers(Experiment& experiment, std::int64_t candidates);

}  // namespace starling::experiment
