// What a training is asked for and what comes out of it: plain values, no Torch.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace starling::training {

/// How the learning rate falls after warm-up; schedule.hpp has the formulas.
enum class Descent { cosine, linear, constant };

struct Options {
  std::int64_t tokens = 0;  ///< at least so many are trained on: whole steps
  std::int64_t batch_tokens = 1024;
  std::int64_t micro_batch_tokens = 0;  ///< of a batch that are trained on at once, whole sequences; 0 = all
  double learning_rate = 8e-4;          ///< peak
  Descent schedule = Descent::cosine;
  double warmup = 0.1;               ///< share of the steps
  double final_learning_rate = 0.1;  ///< share of the peak, which a constant schedule never leaves
  double weight_decay = 0.1;
  double gradient_clip = 1.0;  ///< largest global norm; 0 = no clipping
  double dropout = 0;          ///< probability, below 1: of the embedding, and of what each LIV adds to the residual stream
  bool recompute = false;      ///< activations inside LIVs are computed again in the backward pass: less memory, about a third more time
  double beta1 = 0.9;
  double beta2 = 0.95;
};

/// One step. `tokens` are those trained on so far, this step included; train_loss is the batch's before the step, grad_norm before
/// clipping.
struct Point {
  std::int64_t step = 0;  ///< from 1
  std::int64_t tokens = 0;
  double train_loss = 0;
  double learning_rate = 0;
  double grad_norm = 0;
  double elapsed_s = 0;
};

enum class End { completed, diverged, stopped };

struct Result {
  End end = End::completed;
  std::string reason;        ///< of a divergence: "loss is not finite at step 12"
  std::vector<Point> curve;  ///< every step, or of longer trainings 512 spread evenly; always the first and the last
  std::int64_t steps = 0;    ///< done
  std::int64_t tokens = 0;
  std::int64_t micro_batch_tokens = 0;  ///< at the end: fewer than asked for where memory ran out
};

/// Progress after a step, on the training thread.
using OnStep = std::function<void(const Point&, std::int64_t steps)>;

struct Quality {
  double loss =
      std::numeric_limits<double>::quiet_NaN();  ///< nats per token, of a series the mean squared error; every counted target once
  double bits_per_byte = std::numeric_limits<double>::quiet_NaN();  ///< NaN where the task has no bytes
  double accuracy = std::numeric_limits<double>::quiet_NaN();       ///< macro-averaged over classes; NaN unless the task is scored by it
  std::int64_t tokens = 0;
};

}  // namespace starling::training
