#include "losses.hpp"

#include <fmt/format.h>

#include <cmath>

#include <starling/experiment/experiment.hpp>

#include "text.hpp"

namespace starling::tools {

Losses::Losses(const run::RunSummary& summary) : Losses(experiment::task_kind(summary.started.experiment_toml)) {}

double Losses::perplexity(double loss) const { return squared_errors_ ? run::none : std::exp(loss); }

std::string Losses::squared_error(double loss) const { return fmt::format("MSE {}", fixed(loss, squared_error_digits)); }

std::string Losses::measures(double loss, double bits_per_byte, double accuracy) const {
  if (squared_errors_) return squared_error(loss);
  return fmt::format("loss {}, perplexity {}, bits per byte {}, accuracy {}", fixed(loss, 4), fixed(perplexity(loss), 3),
                     fixed(bits_per_byte, 4), fixed(accuracy, 4));
}

std::string Losses::reference(const run::ReferenceLoss& reference) const {
  if (squared_errors_) return squared_error(reference.loss);
  return fmt::format("loss {} nats per token, {} bits per byte", fixed(reference.loss, 4), fixed(reference.bits_per_byte, 4));
}

std::string Losses::quality(const run::EvaluationRecorded& evaluation) const {
  if (std::isfinite(evaluation.accuracy)) return fmt::format("accuracy {:.3f}", evaluation.accuracy);
  return squared_errors_ ? squared_error(evaluation.loss) : fmt::format("perplexity {:.3f}", perplexity(evaluation.loss));
}

double Losses::to_minimise(const run::EvaluationRecorded& evaluation) {
  return std::isfinite(evaluation.accuracy) ? 1 - evaluation.accuracy : evaluation.loss;
}

}  // namespace starling::tools
