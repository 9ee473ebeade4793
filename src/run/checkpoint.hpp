// Checkpoint files: weights of one candidate in one HDF5 file, contiguous and uncompressed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <starling/run/records.hpp>

namespace starling::run {

/// A float32 array that somebody else owns.
struct ArrayView {
  std::string name;  ///< path inside the file's group /weights, "livs.0.bank.q"
  std::vector<std::int64_t> shape;
  const float* data = nullptr;
};

struct CheckpointInfo {
  std::uint64_t candidate_id = 0;
  std::string genome;      ///< text form
  std::string experiment;  ///< resolved TOML
  std::int64_t step = 0;
  std::int64_t asked_tokens = 0;  ///< of a retraining, in the file's name alone; 0: of the search
};

/// checkpoints/NNNNNNNN.h5, of a retraining checkpoints/NNNNNNNN-TOKENS.h5, below the run directory, written to a temporary name, fsynced,
/// renamed, directory fsynced. Throws Failure.
CheckpointFile write_checkpoint(const std::filesystem::path& run_directory, const CheckpointInfo& info, std::span<const ArrayView> weights);

struct LoadedArray {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> data;
};

struct LoadedCheckpoint {
  CheckpointInfo info;
  std::vector<LoadedArray> weights;
};

/// What a checkpoint says of itself; its weights are not read. Throws as read_checkpoint() does.
CheckpointInfo read_checkpoint_info(const std::filesystem::path& file);

/// Throws UserError (no such file, not a checkpoint) or Failure (damage).
LoadedCheckpoint read_checkpoint(const std::filesystem::path& file);

}  // namespace starling::run
