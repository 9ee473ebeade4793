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

/// Trains in place. Polls `stop` between steps. A function of its arguments alone, bit by bit on one machine with one thread, but for
/// elapsed_s. Divergence: see divergence.hpp. The weights are then those before the step that showed it.
Result train(model::Model& model, const tasks::Task& task, const Options& options, std::uint64_t seed, const std::atomic<bool>& stop,
             const OnStep& on_step = {});

/// Over the whole held-out part. Accuracy is the mean over the classes that occur among the targets of the share predicted right.
/// A loss that is not finite is returned as it is. Where `stop` is set meanwhile, every number is NaN.
Quality evaluate(const model::Model& model, const tasks::Task& task, tasks::Split split, const std::atomic<bool>& stop);

}  // namespace starling::training
