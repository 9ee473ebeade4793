#include <starling/training/optimiser.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace starling::training {
namespace {

operators::Parameter leaf(const char* name, const at::Tensor& value, bool decay) {
  return {.name = name, .value = value.clone().set_requires_grad(true), .decay = decay};
}

// AdamW in f64, straight from the paper, on Σ (w ⊙ p)².
class Reference {
 public:
  Reference(const at::Tensor& p, double decay) : p_(p.to(at::kDouble)), m_(at::zeros_like(p_)), v_(at::zeros_like(p_)), decay_(decay) {}
  void step(const at::Tensor& g, double rate, double beta1, double beta2) {
    ++t_;
    m_ = beta1 * m_ + (1 - beta1) * g;
    v_ = beta2 * v_ + (1 - beta2) * g * g;
    const at::Tensor update = (m_ / (1 - std::pow(beta1, t_))) / ((v_ / (1 - std::pow(beta2, t_))).sqrt() + 1e-8);
    p_ = p_ - rate * decay_ * p_ - rate * update;
  }
  const at::Tensor& value() const { return p_; }

 private:
  at::Tensor p_, m_, v_;
  double decay_;
  int t_ = 0;
};

TEST(Optimiser, FollowsAdamWAndDecaysOnlyWhatIsMarked) {
  const at::Tensor start = at::linspace(-2, 2, 35).reshape({5, 7});
  const at::Tensor weight = at::linspace(0.1, 3, 35).reshape({5, 7});
  std::vector<operators::Parameter> parameters{leaf("matrix", start, true), leaf("norm", start, false)};
  Optimiser optimiser(parameters, {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.5});
  Reference matrix(start, 0.5);
  Reference norm(start, 0);
  for (int step = 0; step < 20; ++step) {
    const double rate = 1e-2 * (step + 1);
    const double scale = step % 2 == 0 ? 1.0 : 0.25;
    optimiser.clear_gradients();
    at::Tensor loss = at::zeros({});
    for (const auto& parameter : parameters) loss = loss + (weight * parameter.value).pow(2).sum();
    loss.backward();
    const at::Tensor w = weight.to(at::kDouble);
    const at::Tensor g_matrix = 2 * w * w * matrix.value();
    const at::Tensor g_norm = 2 * w * w * norm.value();
    const double expected = std::sqrt((g_matrix.pow(2).sum() + g_norm.pow(2).sum()).item<double>());
    EXPECT_NEAR(optimiser.gradient_norm().item<double>() / expected, 1, 1e-4);
    optimiser.step(rate, at::full({}, scale, at::kDouble));
    matrix.step(scale * g_matrix, rate, 0.9, 0.95);
    norm.step(scale * g_norm, rate, 0.9, 0.95);
  }
  EXPECT_TRUE(at::allclose(parameters[0].value.detach().to(at::kDouble), matrix.value(), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(parameters[1].value.detach().to(at::kDouble), norm.value(), 1e-4, 1e-5));
}

TEST(Optimiser, LeavesNoGradientBehind) {
  std::vector<operators::Parameter> parameters{leaf("a", at::ones({3}), false)};
  {
    Optimiser optimiser(parameters, {});
    parameters[0].value.pow(2).sum().backward();
    EXPECT_TRUE(parameters[0].value.grad().defined());
  }
  EXPECT_FALSE(parameters[0].value.grad().defined());
}

TEST(Optimiser, LeavesAParameterWithoutGradientAsItIs) {
  std::vector<operators::Parameter> parameters{leaf("used", at::ones({3}), true), leaf("unused", at::ones({3}), true)};
  Optimiser optimiser(parameters, {});
  parameters[0].value.pow(2).sum().backward();
  EXPECT_DOUBLE_EQ(optimiser.gradient_norm().item<double>(), std::sqrt(12.0));
  optimiser.step(0.1, at::ones({}, at::kDouble));
  EXPECT_TRUE(at::equal(parameters[1].value.detach(), at::ones({3})));
  EXPECT_FALSE(at::equal(parameters[0].value.detach(), at::ones({3})));
}

}  // namespace
}  // namespace starling::training
