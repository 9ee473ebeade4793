#include <starling/training/optimiser.hpp>

#include <cmath>

#include <starling/kernels/adamw.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::training {

Optimiser::Optimiser(const std::vector<operators::Parameter>& parameters, const Settings& settings)
    : parameters_(parameters), settings_(settings) {
  for (const operators::Parameter& parameter : parameters) {
    first_.emplace_back(static_cast<std::size_t>(parameter.value.numel()));
    second_.emplace_back(static_cast<std::size_t>(parameter.value.numel()));
  }
}

void Optimiser::clear_gradients() {
  for (const operators::Parameter& parameter : parameters_) parameter.value.mutable_grad().reset();
}

double Optimiser::gradient_norm() const {
  double sum = 0;
  for (const operators::Parameter& parameter : parameters_) {
    if (!parameter.value.grad().defined()) continue;
    const at::Tensor gradient = parameter.value.grad().contiguous();
    sum += kernels::sum_of_squares(gradient.data_ptr<float>(), gradient.numel());
  }
  return std::sqrt(sum);
}

void Optimiser::step(double learning_rate, double gradient_scale) {
  ++steps_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const operators::Parameter& parameter = parameters_[i];
    if (!parameter.value.grad().defined()) continue;
    const at::Tensor gradient = parameter.value.grad().contiguous();
    kernels::adamw(kernels::AdamW<float>{.parameter = parameter.value.data_ptr<float>(),
                                         .rounded = operators::data<kernels::bfloat16>(parameter.copy),
                                         .gradient = gradient.data_ptr<float>(),
                                         .first = first_[i].data(),
                                         .second = second_[i].data(),
                                         .count = gradient.numel(),
                                         .step = steps_,
                                         .learning_rate = learning_rate,
                                         .beta1 = settings_.beta1,
                                         .beta2 = settings_.beta2,
                                         .weight_decay = parameter.decay ? settings_.weight_decay : 0,
                                         .gradient_scale = gradient_scale});
  }
}

}  // namespace starling::training
