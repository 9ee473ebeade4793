#include <starling/operators/functions/differential.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>

#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// LibTorch refuses a scalar that a float tensor cannot hold. It takes an infinity, which ends the training as diverged and not as an error.
double held_by(at::ScalarType type, double value) {
  if (type != at::kFloat || !(std::abs(value) > std::numeric_limits<float>::max())) return value;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

struct Lambda : Function<Lambda> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& vectors, double initial) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({vectors});
    const double lambda = exponential(vectors, 0) - exponential(vectors, 2) + initial;
    return at::full({}, held_by(vectors.scalar_type(), lambda), vectors.options().requires_grad(false));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto vectors = context->get_saved_variables()[0];
    const auto flow = gradients[0].item<double>();
    const auto result = at::empty_like(vectors);
    for (const int pair : {0, 2}) {
      const double factor = held_by(vectors.scalar_type(), (pair == 0 ? flow : -flow) * exponential(vectors, pair));
      result.select(0, pair).copy_(vectors.select(0, pair + 1)).mul_(factor);
      result.select(0, pair + 1).copy_(vectors.select(0, pair)).mul_(factor);
    }
    return {result, {}};
  }

 private:
  /// exp of the inner product of the rows `pair` and `pair` + 1.
  static double exponential(const at::Tensor& vectors, int pair) {
    return std::exp(at::dot(vectors.select(0, pair), vectors.select(0, pair + 1)).item<double>());
  }
};

/// The gradient of λ in first − λ second.
at::Tensor lambda_gradient(const at::Tensor& dy, const at::Tensor& second, const at::Tensor& lambda) {
  return at::mul(exact(dy), exact(second)).sum().neg_().view(lambda.sizes());
}

struct Difference : Function<Difference> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& first, const at::Tensor& second, const at::Tensor& lambda) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({second, lambda});
    return at::sub(exact(first), exact(second), lambda.item()).to(first.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& dy = gradients[0];
    return {dy, at::mul(exact(dy), saved[1]).neg_().to(dy.scalar_type()), lambda_gradient(dy, saved[0], saved[1])};
  }
};

struct DifferenceInGroups : Function<DifferenceInGroups> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& maps, const at::Tensor& lambda, std::int64_t groups) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto parts = in_parts(maps, groups);
    context->save_for_backward({parts, lambda});
    auto y = at::empty({maps.size(0), maps.size(1), groups, parts.size(4)}, exact_options(maps));
    at::sub_out(y, exact(parts.select(3, 0)), exact(parts.select(3, 1)), lambda.item());
    return y.view({maps.size(0), maps.size(1), maps.size(2) / 2}).to(maps.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& parts = saved[0];
    const auto dy = gradients[0].contiguous().view({parts.size(0), parts.size(1), parts.size(2), parts.size(4)});
    const auto dparts = at::empty_like(parts);
    dparts.select(3, 0).copy_(dy);
    dparts.select(3, 1).copy_(at::mul(exact(dy), saved[1]).neg_());
    return {dparts.flatten(2), lambda_gradient(dy, parts.select(3, 1), saved[1]), {}};
  }

 private:
  static at::Tensor in_parts(const at::Tensor& maps, std::int64_t groups) {
    return maps.contiguous().view({maps.size(0), maps.size(1), groups, 2, maps.size(2) / (2 * groups)});
  }
};

}  // namespace

double initial_lambda(std::int64_t position) { return 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(position - 1)); }

at::Tensor lambda_of(const at::Tensor& vectors, double initial) { return Lambda::apply(vectors, initial); }

at::Tensor difference(const at::Tensor& first, const at::Tensor& second, const at::Tensor& lambda) {
  return Difference::apply(first, second, lambda);
}

at::Tensor difference_in_groups(const at::Tensor& maps, const at::Tensor& lambda, std::int64_t groups) {
  return DifferenceInGroups::apply(maps, lambda, groups);
}

}  // namespace starling::operators
