// `starling run`: what the command line says, and where the work is done.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <starling/experiment/experiment.hpp>

namespace starling::tools {

struct RunArguments {
  std::filesystem::path experiment;
  std::vector<std::string> overrides;
  std::optional<std::filesystem::path> out;
  bool dry_run = false;
  std::optional<double> tflops;  ///< of a GPU, or of a worker on the CPU, for dry_run
  bool print_config = false;
  bool json = false;
  bool quiet = false;
};

/// Reads the experiment, then prints its configuration, prints its plan or searches. Returns the exit code; throws
/// UserError and Failure.
int run(const RunArguments& arguments);

/// --print-config: the resolved TOML, or JSON.
int print_config(const experiment::Experiment& experiment, bool json);
/// --dry-run: what a search would do and cost, by formula; nothing is trained and nothing is written. How long it takes follows from
/// `tflops`, what each GPU, or each worker on the CPU, computes in a second (10¹² FLOP), or, without it, from a matrix product that is
/// measured here. GPUs of another machine can be planned for where `tflops` is given.
int dry_run(experiment::Experiment experiment, std::optional<double> tflops, bool json);
/// The search itself, on the devices of this machine that the experiment asks for.
int search(experiment::Experiment experiment, const RunArguments& arguments);

}  // namespace starling::tools
