// Joins the floors that do not know each other: an experiment becomes a task, a job becomes a trained candidate, its numbers become a record.
#pragma once

#include <string>

#include <starling/actors/worker.hpp>

namespace starling::worker {

/// Candidates train on `device`: "cpu" or "cuda:N".
actors::Workshop make_workshop(const std::string& experiment_toml, const std::string& run_directory, const std::string& device);

}  // namespace starling::worker
