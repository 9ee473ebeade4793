// Training of one candidate and its evaluation on held-out data.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <starling/model/model.hpp>
#include <starling/tasks/task.hpp>

namespace starling::training {

struct Options {
  std::int64_t tokens = 0;
  std::int64_t batch_tokens = 1024;
  double learning_rate = 8e-4;
  double warmup = 0.1;
  double final_learning_rate = 0.1;
  double weight_decay = 0.1;
  double gradient_clip = 1.0;
  double beta1 = 0.9;
  double beta2 = 0.95;
};

struct Point {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double train_loss = 0;
  double learning_rate = 0;
  double grad_norm = 0;
  double elapsed_s = 0;
};

enum class End { completed, diverged, stopped };

struct Result {
  End end = End::completed;
  std::string reason;  ///< of a divergence: "loss is not finite at step 12"
  std::vector<Point> curve;
  std::int64_t steps = 0;
  std::int64_t tokens = 0;
};

/// Progress after a step, on the training thread.
using OnStep = std::function<void(const Point&, std::int64_t steps)>;

/// Trains in place. Steps = ⌈tokens / batch_tokens⌉ of batch_tokens / sequence_length sequences. Polls `stop` between steps.
/// Divergence: a loss or gradient that is not finite, or the mean loss of 20 steps above the first loss + 0.5 after warm-up.
Result train(model::Model& model, const tasks::Task& task, const Options& options, std::uint64_t seed, const std::atomic<bool>& stop,
             const OnStep& on_step = {});

struct Quality {
  double loss = std::numeric_limits<double>::quiet_NaN();           ///< nats per token, every counted token once
  double bits_per_byte = std::numeric_limits<double>::quiet_NaN();  ///< NaN where the task has no bytes
  double accuracy = std::numeric_limits<double>::quiet_NaN();       ///< macro-averaged over classes; NaN unless the task is scored by it
  std::int64_t tokens = 0;
};

Quality evaluate(const model::Model& model, const tasks::Task& task, tasks::Split split, const std::atomic<bool>& stop);

}  // namespace starling::training
