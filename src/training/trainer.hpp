// Training of one candidate and its evaluation on held-out data.
#pragma once

#include <atomic>
#include <cstdint>

#include <starling/model/model.hpp>
#include <starling/tasks/task.hpp>
#include <starling/training/results.hpp>

namespace starling::training {

/// Sequences of a step, batch_tokens / sequence_length, and steps, ⌈tokens / tokens of a step⌉. Throws UserError where batch_tokens hold no
/// sequence.
struct Extent {
  std::int64_t sequences = 0;
  std::int64_t steps = 0;
};
Extent extent(const Options& options, std::int64_t sequence_length);
/// Sequences that are trained on at once, at most all of a step. Throws UserError also where micro_batch_tokens hold none.
std::int64_t micro_batch(const Options& options, std::int64_t sequence_length);

/// Trains in place, where the model is. Polls `stop` between steps. On the CPU a function of its arguments alone, bit by bit on one machine
/// with one thread, but for elapsed_s; on a device softmax attention sums gradients in an order that varies. Divergence: see divergence.hpp.
/// The weights are then those before the step that showed it; a device has begun the next step by then.
/// A step's gradient is the sum over its micro-batches, every counted target with the same weight: how the batch is divided changes the
/// rounding of sums and nothing else. Where memory runs out in the middle of a step, micro-batches are halved from there on and the step is
/// done again, its weights as they were; where it runs out with one sequence, Failure is thrown.
Result train(model::Model& model, const tasks::Task& task, const Options& options, std::uint64_t seed, const std::atomic<bool>& stop,
             const OnStep& on_step = {});

/// Over the whole held-out part. Accuracy is the mean over the classes that occur among the targets of the share predicted right.
/// A loss that is not finite is returned as it is. Where `stop` is set meanwhile, every number is NaN.
Quality evaluate(const model::Model& model, const tasks::Task& task, tasks::Split split, const std::atomic<bool>& stop);

}  // namespace starling::training
