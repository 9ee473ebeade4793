#include <starling/training/evaluate_candidate.hpp>

#include <chrono>
#include <cmath>

#include <starling/model/model.hpp>
#include <starling/training/process.hpp>
#include <starling/training/trainer.hpp>

namespace starling::training {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::vector<Weight> weights_of(const model::Model& model) {
  std::vector<Weight> weights;
  for (const operators::Parameter& parameter : model.parameters()) {
    weights.push_back({parameter.name, parameter.value.sizes().vec(), parameter.value.data_ptr<float>()});
  }
  return weights;
}

}  // namespace

CandidateResult evaluate_candidate(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions,
                                   const tasks::Task& task, const CandidateOptions& options, std::uint64_t seed,
                                   const std::atomic<bool>& stop, const OnStep& on_step, const KeepWeights& keep_weights) {
  CandidateResult result;
  result.account = genome::account(catalogue, genome, dimensions);
  const auto initialization =
      options.initialization == Initialization::he ? model::Model::Initialization::he : model::Model::Initialization::glorot;
  model::Model model(catalogue, genome, dimensions, seed, initialization,
                     options.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat);

  const Stopwatch training;
  result.training = train(model, task, options.training, seed, stop, on_step);
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
      if (keep_weights) keep_weights(weights_of(model));
    }
  }
  result.peak_memory_bytes = peak_memory_bytes();
  return result;
}

}  // namespace starling::training
