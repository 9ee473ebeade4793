#include <starling/training/optimiser.hpp>

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include <starling/kernels/adamw.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::training {
namespace {

at::TensorOptions on_device_of(const std::vector<operators::Parameter>& parameters) {
  return at::TensorOptions().device(parameters.empty() ? at::Device(at::kCPU) : parameters.front().value.device());
}

}  // namespace

Optimiser::Optimiser(const std::vector<operators::Parameter>& parameters, const Settings& settings)
    : parameters_(parameters), settings_(settings) {
  std::int64_t elements = 0;
  for (const operators::Parameter& parameter : parameters) elements += parameter.value.numel();
  first_ = at::zeros({elements}, on_device_of(parameters).dtype(at::kFloat));
  second_ = at::zeros({elements}, on_device_of(parameters).dtype(at::kFloat));
}

void Optimiser::clear_gradients() {
  for (const operators::Parameter& parameter : parameters_) parameter.value.mutable_grad().reset();
}

at::Tensor Optimiser::gradient_norm() const {
  const auto options = on_device_of(parameters_).dtype(at::kDouble);
  std::vector<at::Tensor> gradients;
  for (const operators::Parameter& parameter : parameters_) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad().contiguous());
  }
  if (gradients.empty()) return at::zeros({}, options);
  if (!gradients.front().is_cpu()) return at::stack(at::_foreach_norm(gradients, 2)).to(at::kDouble).square().sum().sqrt();
  double sum = 0;
  for (const at::Tensor& gradient : gradients) sum += kernels::sum_of_squares(gradient.data_ptr<float>(), gradient.numel());
  return at::full({}, std::sqrt(sum), options);
}

void Optimiser::step(double learning_rate, const at::Tensor& gradient_scale) {
  ++steps_;
  std::vector<at::Tensor> gradients;  // that live as long as what is enqueued
  std::vector<kernels::AdamW<float>> steps;
  std::int64_t offset = 0;
  for (const operators::Parameter& parameter : parameters_) {
    const std::int64_t first = offset;
    offset += parameter.value.numel();
    if (!parameter.value.grad().defined()) continue;
    gradients.push_back(parameter.value.grad().contiguous());
    steps.push_back({.parameter = parameter.value.data_ptr<float>(),
                     .rounded = operators::data<kernels::bfloat16>(parameter.copy),
                     .gradient = gradients.back().data_ptr<float>(),
                     .first = first_.data_ptr<float>() + first,
                     .second = second_.data_ptr<float>() + first,
                     .count = parameter.value.numel(),
                     .step = steps_,
                     .learning_rate = learning_rate,
                     .beta1 = settings_.beta1,
                     .beta2 = settings_.beta2,
                     .weight_decay = parameter.decay ? settings_.weight_decay : 0,
                     .gradient_factor = gradient_scale.data_ptr<double>()});
  }
  operators::run_kernel(first_, kernels::AdamWList<float>{steps.data(), static_cast<std::int64_t>(steps.size())});
}

}  // namespace starling::training
