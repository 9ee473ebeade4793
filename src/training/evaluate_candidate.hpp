// One candidate from genome to numbers: build, train, evaluate. No Torch here, so that a worker program can include it beside its actors.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/training/results.hpp>

namespace starling::tasks {
class Task;
}

namespace starling::training {

enum class Initialization { glorot, he };

/// What a model computes in. bf16: with float weights, sums and states (src/model/model.hpp says what exactly); the validation too. tf32:
/// as f32, but matrix products on a CUDA device may round their factors to 10 bits of mantissa.
enum class Precision { f32, bf16, tf32 };

struct CandidateOptions {
  Options training;  ///< micro_batch_tokens 0: a batch, or as often halved as memory_bytes ask for
  std::optional<std::int64_t> memory_bytes =
      {};                      ///< that training may take; nothing: three quarters of this process's share of what is free
  std::int64_t processes = 1;  ///< that share the memory of the device
  std::string device = "cpu";  ///< or "cuda:0", … (device.hpp)
  Initialization initialization = Initialization::glorot;
  Precision precision = Precision::f32;
};

/// A trained f32 array, row-major; `data` lives as long as the call that hands it over.
struct Weight {
  std::string name;  ///< "livs.3.bank.q"
  std::vector<std::int64_t> shape;
  const float* data = nullptr;
};

/// Called once, with every weight of a candidate that completed, on the training thread.
using KeepWeights = std::function<void(std::span<const Weight>)>;

struct CandidateResult {
  Result training;          ///< end is diverged also where only the validation loss is not finite
  Quality validation;       ///< NaN unless completed
  genome::Account account;  ///< parameters and cache by formula
  double training_s = 0;
  double evaluation_s = 0;
  std::uint64_t peak_memory_bytes = 0;  ///< of the process so far; on a device of this candidate's tensors
};

/// Tokens of a micro-batch, whole sequences: all of a batch, or as often halved as it takes until weights' gradients and moments, its
/// activations and the logits that exist at once are within `memory_bytes`; one sequence at least. Halving again where that was not enough is up to train().
std::int64_t micro_batch_tokens(const genome::Account& account, std::int64_t width, const CandidateOptions& options,
                                std::int64_t sequence_length, std::int64_t memory_bytes);

/// Throws UserError where the device has no such precision.
void require_precision(Precision precision, const std::string& device);

/// Weights and sample order depend on `seed`. Returns early where `stop` is set: training.end is then `stopped`. Throws UserError where
/// genome, dimensions and options do not go together, and for a device that is not there or that has no such precision.
CandidateResult evaluate_candidate(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions,
                                   const tasks::Task& task, const CandidateOptions& options, std::uint64_t seed,
                                   const std::atomic<bool>& stop, const OnStep& on_step = {}, const KeepWeights& keep_weights = {});

}  // namespace starling::training
