// A worker process: one device, one evaluator front, one trainer. Started by the coordinator, ends with it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <starling/actors/evaluate.hpp>

namespace starling::actors {

/// What a worker can do once it knows the experiment.
struct Workshop {
  Evaluate evaluate;
  std::vector<run::ReferenceLoss> references;
};

/// Builds the workshop from the resolved experiment and the run directory. May throw UserError: the run ends and says why. After any other
/// exception the worker is started again, as after an end before it was ready.
using MakeWorkshop = std::function<Workshop(const std::string& experiment_toml, const std::string& run_directory)>;

/// The life of a worker: reads "port token" from standard input, joins the coordinator on 127.0.0.1, works until it is told to end. The process
/// ends at once when standard input does (the coordinator is gone). Returns the exit code.
int run_worker(const std::string& name, const std::string& device, const MakeWorkshop& make_workshop);

}  // namespace starling::actors
