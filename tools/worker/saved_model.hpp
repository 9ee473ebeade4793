// A model with the weights of a checkpoint that a run saved.
#pragma once

#include <filesystem>

#include <starling/experiment/experiment.hpp>
#include <starling/model/model.hpp>
#include <starling/run/checkpoint.hpp>

namespace starling::worker {

struct SavedModel {
  run::CheckpointInfo info;
  experiment::Experiment experiment;
  model::Model model;
};

/// Throws UserError (no such file, not a checkpoint), Failure (damage; weights other than those of its genome).
/// It computes in `type`, whatever it was trained in.
SavedModel load_model(const std::filesystem::path& checkpoint, const at::Device& device = at::kCPU, at::ScalarType type = at::kFloat);

}  // namespace starling::worker
