// AdamW over the parameters of a model.
#pragma once

#include <cstdint>
#include <vector>

#include <starling/operators/parameter.hpp>

namespace starling::training {

class Optimiser {
 public:
  struct Settings {
    double beta1 = 0.9;
    double beta2 = 0.95;
    double weight_decay = 0.1;  ///< of matrices and the embedding; of nothing else
  };

  /// `parameters` are f32 leaves on the CPU and must outlive the optimiser; their copies are kept up to date.
  Optimiser(const std::vector<operators::Parameter>& parameters, const Settings& settings);
  /// Leaves no gradient behind.
  ~Optimiser() { clear_gradients(); }
  Optimiser(const Optimiser&) = delete;
  Optimiser& operator=(const Optimiser&) = delete;

  /// Drops the gradients: the next backward pass hands over its buffers instead of adding to old ones.
  void clear_gradients();
  /// Norm of all gradients together.
  double gradient_norm() const;
  /// One step with every gradient × gradient_scale. A parameter without gradient stays as it is.
  void step(double learning_rate, double gradient_scale);

 private:
  const std::vector<operators::Parameter>& parameters_;
  Settings settings_;
  std::int64_t steps_ = 0;
  std::vector<std::vector<float>> first_;  ///< moments, one array per parameter
  std::vector<std::vector<float>> second_;
};

}  // namespace starling::training
