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

  /// `parameters` are f32 leaves on one device and must outlive the optimiser; their copies are kept up to date.
  Optimiser(const std::vector<operators::Parameter>& parameters, const Settings& settings);
  /// Leaves no gradient behind.
  ~Optimiser() { clear_gradients(); }
  Optimiser(const Optimiser&) = delete;
  Optimiser& operator=(const Optimiser&) = delete;

  /// Drops the gradients: the next backward pass hands over its buffers instead of adding to old ones.
  void clear_gradients();
  /// Norm of all gradients together: one number in double where the parameters are, for which nothing waits.
  at::Tensor gradient_norm() const;
  /// One step with every gradient × gradient_scale, one number in double where the parameters are. A parameter without gradient stays as it
  /// is. On a device a few launches do all.
  void step(double learning_rate, const at::Tensor& gradient_scale);

 private:
  const std::vector<operators::Parameter>& parameters_;
  Settings settings_;
  std::int64_t steps_ = 0;
  at::Tensor first_;  ///< moments, of one parameter after the other
  at::Tensor second_;
};

}  // namespace starling::training
