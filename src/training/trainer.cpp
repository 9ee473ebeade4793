#include <starling/training/trainer.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <numbers>
#include <optional>

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/training/batch_feed.hpp>
#include <starling/training/curve.hpp>
#include <starling/training/device.hpp>
#include <starling/training/divergence.hpp>
#include <starling/training/micro_batches.hpp>
#include <starling/training/optimiser.hpp>
#include <starling/training/schedule.hpp>

namespace starling::training {
namespace {

// Held-out batches hold about so many tokens: enough for the matrix products, few enough for the cache. A device has no such cache, and
// every batch is waited for.
constexpr std::int64_t evaluation_tokens = 1024;
constexpr std::int64_t evaluation_tokens_of_device = 65536;

// So many steps a device has begun at most before the numbers of the first of them are looked at.
constexpr std::size_t steps_ahead = 1;

/// A step that is done, or that a device has to do.
struct Begun {
  Point point;
  std::optional<double> unlearned;
  Reading numbers;  ///< loss and gradient norm
};

/// What gradients of this norm are multiplied by, as a number where they are.
at::Tensor clip_factor(const at::Tensor& norm, double largest) {
  if (largest <= 0) return at::ones_like(norm);
  return at::full_like(norm, largest).div_(norm + 1e-6).clamp_max_(1.0);
}

/// Sequences [first, first + count) of a batch.
tasks::Batch slice(const tasks::Batch& batch, std::int64_t first, std::int64_t count) {
  return {batch.inputs.narrow(0, first, count), batch.targets.narrow(0, first, count)};
}

/// What a device has been given to do and is not known to have done. Memory that several streams or the CPU have used is freed behind an
/// event, and on a lost device that throws, in destructors: there it stays.
struct Flight {
  BatchFeed::Ready batch;
  std::deque<Begun> begun;

  struct EndUnlessLost {
    at::Device device;
    void operator()(Flight* flight) const {
      if (still_works(device)) delete flight;
    }
  };
  static std::unique_ptr<Flight, EndUnlessLost> on(const at::Device& device) { return {new Flight, EndUnlessLost{device}}; }
};

// Counts per class of the targets, and of those predicted right.
class MacroAccuracy {
 public:
  explicit MacroAccuracy(std::int64_t classes) : there_(static_cast<std::size_t>(classes)), right_(there_.size()) {}

  void add(const at::Tensor& predictions, const at::Tensor& targets) {
    const at::Tensor predicted = predictions.cpu().contiguous();
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
  const at::Device device = model.device();
  const bool runs_ahead = !device.is_cpu();
  const Schedule schedule(options.schedule, options.learning_rate, options.warmup, options.final_learning_rate, steps);
  Optimiser optimiser(model.parameters(), {options.beta1, options.beta2, options.weight_decay});
  Divergence divergence(schedule.warmup_steps());
  MicroBatches micro_batches(micro_batch(options, task.sequence_length()), [&] { release_memory(device); });
  BatchFeed feed(task, {.seed = seed, .sequences = sequences, .steps = steps, .device = device});
  Curve curve(steps);
  Result result;
  const auto start = std::chrono::steady_clock::now();

  const auto flight = Flight::on(device);
  auto& begun = flight->begun;
  // Waits for the numbers of the oldest step.
  const auto finish = [&] {
    const double* const values = begun.front().numbers.wait();
    Point point = begun.front().point;
    point.train_loss = values[0];
    point.grad_norm = values[1];
    const auto unlearned = begun.front().unlearned;
    begun.pop_front();
    point.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.steps = point.step;
    result.tokens = point.tokens;
    if (const auto diverged = divergence.observe(point.train_loss, point.grad_norm, unlearned)) {
      result.end = End::diverged;
      result.reason = *diverged;
    }
    curve.add(point);
    return point;
  };
  const auto tell = [&](const Point& point) {
    if (on_step) on_step(point, steps);
  };

  for (std::int64_t step = 0; step < steps && result.end == End::completed; ++step) {
    if (stop.load(std::memory_order_relaxed)) {
      result.end = End::stopped;
      break;
    }
    const double learning_rate = schedule.rate(step);
    flight->batch = feed.next();
    model::Model::Pass pass{.counted = flight->batch.counted,
                            .dropout = options.dropout,
                            .dropout_seed = derive_seed(seed, Purpose::dropout, static_cast<std::uint64_t>(step)),
                            .recompute = options.recompute};
    const auto loss = at::zeros({}, at::TensorOptions().device(device).dtype(at::kDouble));
    const auto begin = [&] {
      optimiser.clear_gradients();
      loss.zero_();
    };
    micro_batches.run(sequences, begin, [&](std::int64_t first, std::int64_t count) {
      const tasks::Batch part = slice(flight->batch.batch, first, count);
      pass.first_sequence = first;
      const at::Tensor share = model.loss(part.inputs, part.targets, pass);
      share.backward();
      loss.add_(share.detach());
    });
    const auto norm = optimiser.gradient_norm();
    begun.push_back({{.step = step + 1, .tokens = (step + 1) * sequences * task.sequence_length(), .learning_rate = learning_rate},
                     flight->batch.unlearned,
                     Reading(at::stack({loss, norm}))});
    if (runs_ahead) {
      optimiser.step(learning_rate, clip_factor(norm, options.gradient_clip));
      if (begun.size() > steps_ahead) tell(finish());
    } else {
      const Point point = finish();
      if (result.end == End::completed) optimiser.step(learning_rate, clip_factor(norm, options.gradient_clip));
      tell(point);
    }
  }
  while (!begun.empty() && result.end == End::completed) tell(finish());
  result.curve = curve.take();
  result.micro_batch_tokens = micro_batches.sequences() * task.sequence_length();
  return result;
}

Quality evaluate(const model::Model& model, const tasks::Task& task, tasks::Split split, const std::atomic<bool>& stop) {
  const std::int64_t tokens = model.device().is_cpu() ? evaluation_tokens : evaluation_tokens_of_device;
  const std::int64_t sequences = std::max<std::int64_t>(1, tokens / task.sequence_length());
  const std::int64_t batches = task.held_out_batches(split, sequences);
  MicroBatches micro_batches(sequences, [&] { release_memory(model.device()); });
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
