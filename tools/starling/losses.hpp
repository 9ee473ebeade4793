// What the losses of a run are: nats per token, or the mean squared error of a series, which has no perplexity.
#pragma once

#include <string>

#include <starling/run/summary.hpp>

namespace starling::tools {

class Losses {
 public:
  explicit Losses(const run::RunSummary& summary);
  explicit Losses(const std::string& task_kind) : squared_errors_(task_kind == "series") {}

  /// exp of nats per token; NaN of a squared error.
  double perplexity(double loss) const;
  /// NaN of nats.
  double mean_squared_error(double loss) const { return squared_errors_ ? loss : run::none; }
  /// "loss 2.0000, perplexity 7.389, bits per byte 2.8854, accuracy –" or "MSE 0.01234".
  std::string measures(double loss, double bits_per_byte, double accuracy) const;
  /// "loss 2.0000 nats per token, 2.8854 bits per byte" or "MSE 0.01234".
  std::string reference(const run::ReferenceLoss& reference) const;
  /// The first thing to know of a candidate: "accuracy 0.987", "perplexity 7.389" or "MSE 0.01234".
  std::string quality(const run::EvaluationRecorded& evaluation) const;

  /// 1 − accuracy where the task has one, else the loss: the less the better.
  static double to_minimise(const run::EvaluationRecorded& evaluation);

  static constexpr int squared_error_digits = 5;

 private:
  std::string squared_error(double loss) const;

  bool squared_errors_ = false;
};

}  // namespace starling::tools
