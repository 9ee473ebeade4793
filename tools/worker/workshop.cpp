#include "workshop.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include <starling/experiment/experiment.hpp>
#include <starling/experiment/objectives.hpp>
#include <starling/experiment/placement.hpp>
#include <starling/run/checkpoint.hpp>
#include <starling/tasks/make_task.hpp>
#include <starling/tasks/task.hpp>
#include <starling/training/device.hpp>
#include <starling/training/evaluate_candidate.hpp>
#include <starling/training/trainer.hpp>

#include "saved_model.hpp"

namespace starling::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds progress_interval{500};

tasks::Options task_options(const experiment::Experiment& experiment, const std::filesystem::path& directory) {
  const auto& task = experiment.task;
  if (task.kind == "mad") return experiment::mad_options(experiment);
  if (task.kind == "series") {
    return tasks::SeriesOptions{.files = task.files,
                                .columns = experiment::columns(experiment),
                                .sequence_length = task.sequence_length,
                                .validation_fraction = task.validation_fraction,
                                .test_fraction = task.test_fraction,
                                .validation_tokens = task.validation_tokens};
  }
  // Text that the coordinator has made tokens of.
  const auto packed = directory / "data";
  const auto separator = task.separator < 0 ? std::optional<std::uint16_t>() : static_cast<std::uint16_t>(task.separator);
  return tasks::LanguageModelOptions{.files = task.files,
                                     .packed = std::filesystem::exists(packed) ? packed.string() : std::string(),
                                     .shards = experiment::reads_shards(experiment),
                                     .text_key = task.text_key,
                                     .vocabulary = experiment::vocabulary(experiment),
                                     .separator = separator,
                                     .bytes = task.tokenizer == "bytes",
                                     .sequence_length = task.sequence_length,
                                     .max_bytes = task.max_bytes,
                                     .validation_fraction = task.validation_fraction,
                                     .test_fraction = task.test_fraction,
                                     .validation_tokens = task.validation_tokens,
                                     .seed = experiment.seed};
}

training::Descent descent_named(const std::string& name) {
  if (name == "linear") return training::Descent::linear;
  return name == "constant" ? training::Descent::constant : training::Descent::cosine;
}

training::Precision precision_named(const std::string& name) {
  if (name == "tf32") return training::Precision::tf32;
  return name == "bf16" ? training::Precision::bf16 : training::Precision::f32;
}

at::ScalarType computes_in(const experiment::Experiment& experiment) {
  return precision_named(experiment.training.precision) == training::Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

training::CandidateOptions candidate_options(const experiment::Experiment& experiment, const at::Device& device) {
  const auto from = experiment::in_positions(experiment);
  training::CandidateOptions options;
  options.device = device.str();
  options.training.tokens = from.tokens;
  options.training.batch_tokens = from.batch_tokens;
  options.training.micro_batch_tokens = from.micro_batch_tokens;
  options.processes = experiment::workers_per_device(experiment);
  options.training.learning_rate = from.learning_rate;
  options.training.schedule = descent_named(from.schedule);
  options.training.warmup = from.warmup;
  options.training.final_learning_rate = from.final_learning_rate;
  options.training.weight_decay = from.weight_decay;
  options.training.gradient_clip = from.gradient_clip;
  options.training.dropout = from.dropout;
  options.training.recompute = from.recompute;
  options.initialization = from.initialization == "he" ? training::Initialization::he : training::Initialization::glorot;
  options.precision = precision_named(from.precision);
  return options;
}

double objective(const std::string& name, const run::EvaluationRecorded& record, const genome::Account& account, bool by_accuracy) {
  if (name == "quality") return by_accuracy ? 1.0 - record.accuracy : record.loss;
  if (name == "parameters") return static_cast<double>(account.parameters.without_embedding());
  if (name == "cache") return static_cast<double>(record.cache_bytes);
  if (name == "flops") return static_cast<double>(account.training_flops) * static_cast<double>(record.tokens);
  throw std::logic_error("no measure for the objective " + name);
}

/// All that one worker keeps between candidates.
class Bench {
 public:
  Bench(const std::string& experiment_toml, std::filesystem::path directory, const std::string& device)
      : experiment_(experiment::parse(experiment_toml, "experiment.toml")),
        directory_(std::move(directory)),
        device_(training::device_named(device)),
        task_(tasks::make_task(task_options(experiment_, directory_))) {
    const auto precision = precision_named(experiment_.training.precision);
    training::require_precision(precision, device);
    training::allow_tf32(precision == training::Precision::tf32);  // the test part too, whatever trained here before
    const auto sizes = experiment::dimensions(experiment_);
    if (task_->vocabulary() != sizes.vocabulary || task_->channels() != sizes.channels) {
      throw std::logic_error("the task has another vocabulary or other columns than the plan");
    }
  }

  const tasks::Task& task() const { return *task_; }

  run::EvaluationRecorded evaluate(const actors::Job& job, const std::atomic<bool>& stop,
                                   const std::function<void(const actors::Progress&)>& on_progress) const {
    try {
      const auto record = job.test_of.empty() ? train(job, stop, on_progress) : test(job, stop);
      training::release_memory(device_);  // other candidates of this device take their share of what is free
      return record;
    } catch (const std::exception& error) {
      if (!training::still_works(device_)) throw actors::DeviceError(device_.str() + " is lost: " + error.what());
      training::release_memory(device_);
      throw;
    }
  }

 private:
  run::EvaluationRecorded train(const actors::Job& job, const std::atomic<bool>& stop,
                                const std::function<void(const actors::Progress&)>& on_progress) const {
    run::EvaluationRecorded record;
    record.outcome.id = job.id;
    record.started_utc = run::now_utc();
    spdlog::info("candidate {}, attempt {}: {}", job.id, job.attempt, genome::to_text(job.genome));
    const auto begun = Clock::now();
    auto last_progress = begun;
    const auto on_step = [&](const training::Point& point, std::int64_t steps) {
      const auto now = Clock::now();
      if (now - last_progress < progress_interval) return;
      last_progress = now;
      on_progress({.id = job.id, .step = point.step, .steps = steps, .loss = point.train_loss});
    };
    const auto experiment = asked(job);
    const auto keep = [&](std::span<const training::Weight> weights) { record.checkpoint = save(job, experiment, weights); };
    const auto result =
        training::evaluate_candidate(experiment::catalogue(experiment), job.genome, experiment::dimensions(experiment), *task_,
                                     candidate_options(experiment, device_), job.training_seed, stop, on_step, keep);
    fill(record, result);
    record.duration_s = std::chrono::duration<double>(Clock::now() - begun).count();
    spdlog::info("candidate {}: {} after {} steps in {:.2f} s, loss {:.4f} {}", job.id, search::to_string(record.outcome.status),
                 record.steps, record.duration_s, record.loss, record.reason);
    return record;
  }

  /// The experiment with what the job has otherwise.
  experiment::Experiment asked(const actors::Job& job) const {
    auto experiment = experiment_;
    if (job.width > 0) experiment.model.width = job.width;
    if (job.tokens > 0) experiment.training.tokens = job.tokens;
    return experiment;
  }

  run::EvaluationRecorded test(const actors::Job& job, const std::atomic<bool>& stop) const {
    const auto begun = Clock::now();
    const auto quality =
        training::evaluate(load_model(directory_ / job.test_of, device_, computes_in(experiment_)).model, *task_, tasks::Split::test, stop);
    run::EvaluationRecorded record;
    record.loss = quality.loss;
    record.bits_per_byte = quality.bits_per_byte;
    record.accuracy = quality.accuracy;
    record.duration_s = std::chrono::duration<double>(Clock::now() - begun).count();
    spdlog::info("candidate {}: test loss {:.4f} in {:.2f} s", job.id, record.loss, record.duration_s);
    return record;
  }

  run::CheckpointFile save(const actors::Job& job, const experiment::Experiment& experiment,
                           std::span<const training::Weight> weights) const {
    std::vector<run::ArrayView> arrays;
    for (const auto& weight : weights) arrays.push_back({weight.name, weight.shape, weight.data});
    const auto steps = training::extent(candidate_options(experiment, device_).training, task_->sequence_length()).steps;
    return run::write_checkpoint(directory_, {job.id, genome::to_text(job.genome), experiment::to_toml(experiment), steps, job.tokens},
                                 arrays);
  }

  void fill(run::EvaluationRecorded& record, const training::CandidateResult& result) const {
    record.steps = result.training.steps;
    record.tokens = result.training.tokens;
    record.micro_batch_tokens = result.training.micro_batch_tokens;
    record.reason = result.training.reason;
    record.peak_mem_bytes = result.peak_memory_bytes;
    record.loss = result.validation.loss;
    record.bits_per_byte = result.validation.bits_per_byte;
    record.accuracy = result.validation.accuracy;
    record.parameters = result.account.parameters.total();
    record.cache_bytes = result.account.cache.bytes(experiment_.task.sequence_length);
    for (const auto& point : result.training.curve) {
      record.curve.push_back({.step = point.step,
                              .tokens = point.tokens,
                              .train_loss = point.train_loss,
                              .learning_rate = point.learning_rate,
                              .grad_norm = point.grad_norm,
                              .elapsed_s = point.elapsed_s});
    }
    if (result.training.end != training::End::completed) {
      record.outcome.status = search::Status::diverged;
      return;
    }
    if (!record.curve.empty()) record.curve.back().val_loss = record.loss;
    record.outcome.status = search::Status::ok;
    for (const auto& name : experiment_.search.objectives) {
      record.outcome.objectives.push_back(objective(name, record, result.account, task_->scored_by_accuracy()));
    }
  }

  experiment::Experiment experiment_;
  std::filesystem::path directory_;
  at::Device device_;
  std::shared_ptr<const tasks::Task> task_;
};

}  // namespace

actors::Workshop make_workshop(const std::string& experiment_toml, const std::string& run_directory, const std::string& device) {
  const auto bench = std::make_shared<const Bench>(experiment_toml, run_directory, device);
  const auto description = training::device_description(training::device_named(device));
  if (!description.empty()) spdlog::info("trains on {}: {}", device, description);
  spdlog::info("{}", bench->task().summary());
  actors::Workshop workshop;
  workshop.evaluate = [bench](const actors::Job& job, const std::atomic<bool>& stop,
                              const std::function<void(const actors::Progress&)>& on_progress) {
    return bench->evaluate(job, stop, on_progress);
  };
  for (const auto& reference : bench->task().references()) {
    workshop.references.push_back({.name = reference.name, .loss = reference.loss, .bits_per_byte = reference.bits_per_byte});
  }
  return workshop;
}

}  // namespace starling::worker
