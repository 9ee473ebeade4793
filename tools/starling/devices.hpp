// The devices of an experiment and those of this machine.
#pragma once

#include <string>

#include <starling/experiment/experiment.hpp>

namespace starling::tools {

/// Fills in "auto": every GPU that LibTorch sees, or the CPU. Throws UserError where a GPU that is named is not there, Failure where
/// starling-worker, which knows, cannot be asked.
void resolve_devices(experiment::Experiment& experiment);

struct DeviceArguments;
/// The experiment with what a command is told of devices, which are filled in. Throws as resolve_devices().
experiment::Experiment on_devices(const experiment::Experiment& experiment, const DeviceArguments& arguments);

/// "cuda:0, cuda:1, 2 candidates on each"; "the CPU, 2 workers"; of "auto" that nobody has filled in both.
std::string devices_text(const experiment::Experiment& experiment);

}  // namespace starling::tools
