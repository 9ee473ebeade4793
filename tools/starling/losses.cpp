#include "losses.hpp"

#include <fmt/format.h>

#include <cmath>

#include <starling/experiment/experiment.hpp>

#include "text.hpp"

namespace starling::tools {

Losses::Losses(const run::RunSummary& summary) : Losses(experiment::task_kind(summary.started.experiment_toml)) {}

double Losses::perplexity(double loss) const { return squared_errors_ ? run::none : std::exp(loss); }

std::string Losses::value(double loss) const { return squared_errors_ ? fixed(loss, squared_error_digits) : fixed(perplexity(loss), 3); }

std::string Losses::measures(double loss, double bits_per_byte, double accuracy) const {
  const auto compared = fmt::format("{} {}", name(), value(loss));
  if (squared_errors_) return compared;
  return fmt::format("loss {}, {}, bits per byte {}, accuracy {}", fixed(loss, 4), compared, fixed(bits_per_byte, 4), fixed(accuracy, 4));
}

std::string Losses::reference(const run::ReferenceLoss& reference) const {
  if (squared_errors_) return fmt::format("{} {}", name(), value(reference.loss));
  return fmt::format("loss {} nats per token, {} bits per byte", fixed(reference.loss, 4), fixed(reference.bits_per_byte, 4));
}

std::string Losses::quality(const run::EvaluationRecorded& evaluation) const {
  if (std::isfinite(evaluation.accuracy)) return fmt::format("accuracy {:.3f}", evaluation.accuracy);
  return fmt::format("{} {}", name(), value(evaluation.loss));
}

}  // namespace starling::tools
