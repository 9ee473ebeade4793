#include <starling/training/evaluate_candidate.hpp>

#include <chrono>
#include <cmath>
#include <optional>

#include <starling/base/error.hpp>
#include <starling/model/model.hpp>
#include <starling/training/device.hpp>
#include <starling/training/trainer.hpp>

namespace starling::training {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Of what is free, the share that estimates are made against.
constexpr double memory_share = 0.75;

Options training_options(const CandidateOptions& options, const genome::Account& account, std::int64_t width, std::int64_t sequence_length,
                         const at::Device& device) {
  Options training = options.training;
  if (training.micro_batch_tokens != 0) return training;
  auto memory = options.memory_bytes;
  if (const auto free = memory ? std::nullopt : free_memory_bytes(device)) {
    memory = static_cast<std::int64_t>(memory_share * static_cast<double>(*free / options.processes));
  }
  if (memory) training.micro_batch_tokens = micro_batch_tokens(account, width, options, sequence_length, *memory);
  return training;
}

void hand_over(const model::Model& model, const KeepWeights& keep_weights) {
  std::vector<at::Tensor> here;
  std::vector<Weight> weights;
  for (const operators::Parameter& parameter : model.parameters()) {
    here.push_back(parameter.value.detach().cpu());
    weights.push_back({parameter.name, parameter.value.sizes().vec(), here.back().data_ptr<float>()});
  }
  keep_weights(weights);
}

}  // namespace

std::int64_t micro_batch_tokens(const genome::Account& account, std::int64_t width, const CandidateOptions& options,
                                std::int64_t sequence_length, std::int64_t memory_bytes) {
  const std::int64_t element_bytes = options.precision == Precision::bf16 ? 2 : 4;
  const auto activations = account.activation_bytes(width, element_bytes, options.training.recompute);
  const std::int64_t room = memory_bytes - account.gradient_bytes() - account.moment_bytes() - activations.fixed;
  const auto needed = [&](std::int64_t sequences) {
    const auto tokens = sequences * sequence_length;
    return tokens * activations.per_token + account.logit_bytes(tokens, element_bytes, options.device != "cpu");
  };
  std::int64_t sequences = extent(options.training, sequence_length).sequences;
  while (sequences > 1 && needed(sequences) > room) sequences = (sequences + 1) / 2;
  return sequences * sequence_length;
}

void require_precision(Precision precision, const std::string& device) {
  if (precision != Precision::tf32 || device != "cpu") return;
  throw UserError("training.precision: found \"tf32\", which a CUDA device has and the CPU has not; expected \"f32\" or \"bf16\"");
}

CandidateResult evaluate_candidate(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions,
                                   const tasks::Task& task, const CandidateOptions& options, std::uint64_t seed,
                                   const std::atomic<bool>& stop, const OnStep& on_step, const KeepWeights& keep_weights) {
  CandidateResult result;
  result.account = genome::account(catalogue, genome, dimensions);
  const auto initialization =
      options.initialization == Initialization::he ? model::Model::Initialization::he : model::Model::Initialization::glorot;
  const at::Device device = device_named(options.device);
  require_precision(options.precision, options.device);
  reset_peak_memory(device);
  allow_tf32(options.precision == Precision::tf32);
  model::Model model(catalogue, genome, dimensions, seed, initialization, options.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat,
                     device);

  const Stopwatch training;
  result.training =
      train(model, task, training_options(options, result.account, dimensions.width, task.sequence_length(), device), seed, stop, on_step);
  result.training_s = training.seconds();
  if (result.training.end == End::completed) {
    const Stopwatch evaluation;
    const Quality quality = evaluate(model, task, tasks::Split::validation, stop);
    result.evaluation_s = evaluation.seconds();
    if (stop.load(std::memory_order_relaxed)) {
      result.training.end = End::stopped;
    } else if (!std::isfinite(quality.loss)) {
      result.training.end = End::diverged;
      result.training.reason = "validation loss is not finite";
    } else {
      result.validation = quality;
      if (keep_weights) hand_over(model, keep_weights);
    }
  }
  result.peak_memory_bytes = peak_memory_bytes(device);
  return result;
}

}  // namespace starling::training
