// What the engine asks of whatever evaluates a candidate: a trainer in a worker process, or any callable of a test or a user.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include <starling/base/error.hpp>
#include <starling/genome/genome.hpp>
#include <starling/run/records.hpp>

namespace starling::actors {

struct Job {
  std::uint64_t id = 0;
  std::uint32_t attempt = 1;
  std::uint64_t training_seed = 0;  ///< depends on (run seed, id), never on the attempt
  genome::Genome genome;
  std::int64_t width = 0;   ///< channels; 0: the experiment's
  std::int64_t tokens = 0;  ///< to train on, which makes it a retraining; 0: the experiment's training.tokens
  std::string test_of;      ///< "": train and validate. Else a checkpoint, relative to the run directory, to be measured on the test part
};

struct Progress {
  std::uint64_t id = 0;
  std::int64_t step = 0;
  std::int64_t steps = 0;
  double loss = 0;
};

/// What an Evaluate throws where its process can compute no more: after an error of CUDA no later call succeeds. Costs the attempt, as any
/// exception does, and the worker process, which is replaced by another on the same device. What is out of memory is no such error.
struct DeviceError : Failure {
  using Failure::Failure;
};

/// Blocks until the candidate is evaluated (or, of a test, until loss, bits_per_byte and accuracy are those of the test part) and fills
/// everything of the record that it knows (the engine adds worker and attempt). Polls `stop` and returns early where it is set (its result
/// is then ignored). An exception costs one attempt; its what() is recorded.
using Evaluate =
    std::function<run::EvaluationRecorded(const Job&, const std::atomic<bool>& stop, const std::function<void(const Progress&)>&)>;

}  // namespace starling::actors
