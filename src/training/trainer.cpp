#include <starling/training/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <numbers>

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/training/curve.hpp>
#include <starling/training/divergence.hpp>
#include <starling/training/micro_batches.hpp>
#include <starling/training/optimiser.hpp>
#include <starling/training/schedule.hpp>

namespace starling::training {
namespace {

// Held-out batches hold about so many tokens: enough for the matrix products, few enough for the cache.
constexpr std::int64_t evaluation_tokens = 1024;

/// Sequences [first, first + count) of a batch.
tasks::Batch slice(const tasks::Batch& batch, std::int64_t first, std::int64_t count) {
  return {batch.inputs.narrow(0, first, count), batch.targets.narrow(0, first, count)};
}

// Counts per class of the targets, and of those predicted right.
class MacroAccuracy {
 public:
  explicit MacroAccuracy(std::int64_t classes) : there_(static_cast<std::size_t>(classes)), right_(there_.size()) {}

  void add(const at::Tensor& predictions, const at::Tensor& targets) {
    const at::Tensor predicted = predictions.contiguous();
    const auto* prediction = predicted.data_ptr<std::int64_t>();
    const auto* target = targets.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < targets.numel(); ++i) {
      if (target[i] == tasks::ignored) continue;
      ++there_[static_cast<std::size_t>(target[i])];
      right_[static_cast<std::size_t>(target[i])] += prediction[i] == target[i];
    }
  }

  double value() const {
    double sum = 0;
    double classes = 0;
    for (std::size_t i = 0; i < there_.size(); ++i) {
      if (there_[i] == 0) continue;
      sum += static_cast<double>(right_[i]) / static_cast<double>(there_[i]);
      ++classes;
    }
    return sum / classes;
  }

 private:
  std::vector<std::int64_t> there_;
  std::vector<std::int64_t> right_;
};

}  // namespace

Extent extent(const Options& options, std::int64_t sequence_length) {
  const std::int64_t sequences = options.batch_tokens / sequence_length;
  if (sequences < 1) {
    throw UserError(fmt::format("training.batch_tokens: {} tokens hold no sequence of {}", options.batch_tokens, sequence_length));
  }
  const std::int64_t tokens = sequences * sequence_length;
  return {sequences, (options.tokens + tokens - 1) / tokens};
}

std::int64_t micro_batch(const Options& options, std::int64_t sequence_length) {
  const std::int64_t all = extent(options, sequence_length).sequences;
  if (options.micro_batch_tokens == 0) return all;
  const std::int64_t sequences = options.micro_batch_tokens / sequence_length;
  if (sequences < 1) {
    throw UserError(
        fmt::format("training.micro_batch_tokens: {} tokens hold no sequence of {}", options.micro_batch_tokens, sequence_length));
  }
  return std::min(sequences, all);
}

Result train(model::Model& model, const tasks::Task& task, const Options& options, std::uint64_t seed, const std::atomic<bool>& stop,
             const OnStep& on_step) {
  const auto [sequences, steps] = extent(options, task.sequence_length());
  const Schedule schedule(options.schedule, options.learning_rate, options.warmup, options.final_learning_rate, steps);
  Optimiser optimiser(model.parameters(), {options.beta1, options.beta2, options.weight_decay});
  Divergence divergence(schedule.warmup_steps());
  MicroBatches micro_batches(micro_batch(options, task.sequence_length()));
  Curve curve(steps);
  Result result;
  const auto start = std::chrono::steady_clock::now();

  while (result.steps < steps) {
    if (stop.load(std::memory_order_relaxed)) {
      result.end = End::stopped;
      break;
    }
    const double learning_rate = schedule.rate(result.steps);
    const tasks::Batch batch = task.training_batch(seed, result.steps, sequences);
    model::Model::Pass pass{.counted = tasks::counted_targets(batch.targets),
                            .dropout = options.dropout,
                            .dropout_seed = derive_seed(seed, Purpose::dropout, static_cast<std::uint64_t>(result.steps)),
                            .recompute = options.recompute};
    double loss = 0;
    const auto begin = [&] {
      optimiser.clear_gradients();
      loss = 0;
    };
    micro_batches.run(sequences, begin, [&](std::int64_t first, std::int64_t count) {
      const tasks::Batch part = slice(batch, first, count);
      pass.first_sequence = first;
      const at::Tensor share = model.loss(part.inputs, part.targets, pass);
      share.backward();
      loss += share.item<double>();
    });
    const double norm = optimiser.gradient_norm();

    ++result.steps;
    result.tokens += sequences * task.sequence_length();
    const std::optional<std::string> diverged = divergence.observe(loss, norm);
    if (!diverged) {
      const double clip = options.gradient_clip > 0 ? std::min(1.0, options.gradient_clip / (norm + 1e-6)) : 1.0;
      optimiser.step(learning_rate, clip);
    }
    const Point point{.step = result.steps,
                      .tokens = result.tokens,
                      .train_loss = loss,
                      .learning_rate = learning_rate,
                      .grad_norm = norm,
                      .elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
    curve.add(point);
    if (on_step) on_step(point, steps);
    if (diverged) {
      result.end = End::diverged;
      result.reason = *diverged;
      break;
    }
  }
  result.curve = curve.take();
  result.micro_batch_tokens = micro_batches.sequences() * task.sequence_length();
  return result;
}

Quality evaluate(const model::Model& model, const tasks::Task& task, tasks::Split split, const std::atomic<bool>& stop) {
  const std::int64_t sequences = std::max<std::int64_t>(1, evaluation_tokens / task.sequence_length());
  const std::int64_t batches = task.held_out_batches(split, sequences);
  MicroBatches micro_batches(sequences);
  MacroAccuracy accuracy(task.vocabulary());
  double sum = 0;
  Quality quality;
  for (std::int64_t i = 0; i < batches; ++i) {
    if (stop.load(std::memory_order_relaxed)) return {};
    const tasks::Batch batch = task.held_out_batch(split, i, sequences);
    std::vector<std::pair<model::Model::Score, at::Tensor>> scores;
    micro_batches.run(
        batch.inputs.size(0), [&] { scores.clear(); },
        [&](std::int64_t first, std::int64_t count) {
          const tasks::Batch part = slice(batch, first, count);
          scores.emplace_back(model.score(part.inputs, part.targets), part.targets);
        });
    for (const auto& [score, targets] : scores) {
      sum += score.sum;
      quality.tokens += score.counted;
      if (task.scored_by_accuracy()) accuracy.add(score.predictions, targets);
    }
  }
  if (quality.tokens == 0) return quality;
  quality.loss = sum / static_cast<double>(quality.tokens);
  const std::int64_t bytes = task.held_out_bytes(split);
  if (bytes > 0) quality.bits_per_byte = sum / (std::numbers::ln2 * static_cast<double>(bytes));
  if (task.scored_by_accuracy()) quality.accuracy = accuracy.value();
  return quality;
}

}  // namespace starling::training
