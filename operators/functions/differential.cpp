#include <starling/operators/functions/differential.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// In tensor operations alone: nothing waits for a device, and a λ that float cannot hold is an infinity, which ends the training as
/// diverged and not as an error.
struct Lambda : Function<Lambda> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& vectors, double initial) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({vectors});
    const auto factors = exponentials(in_pairs(vectors));
    return (factors.select(0, 0) - factors.select(0, 1) + initial).to(vectors.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto vectors = context->get_saved_variables()[0];
    const auto pairs = in_pairs(vectors);
    const auto factors = exponentials(pairs).mul_(gradients[0]);
    factors.select(0, 1).neg_();
    return {at::mul(pairs.flip(1), factors.view({2, 1, 1})).view(vectors.sizes()).to(vectors.scalar_type()), {}};
  }

 private:
  /// (pair, vector, element).
  static at::Tensor in_pairs(const at::Tensor& vectors) { return vectors.to(at::kDouble).view({2, 2, -1}); }
  /// exp of the inner product of each pair.
  static at::Tensor exponentials(const at::Tensor& pairs) { return at::mul(pairs.select(1, 0), pairs.select(1, 1)).sum(1).exp_(); }
};

/// first − λ second; a λ on a device is not waited for.
at::Tensor minus_product(const at::Tensor& first, const at::Tensor& second, const at::Tensor& lambda) {
  return lambda.is_cpu() ? at::sub(first, second, lambda.item()) : at::addcmul(first, second, lambda, -1);
}

/// The gradient of λ in first − λ second.
at::Tensor lambda_gradient(const at::Tensor& dy, const at::Tensor& second, const at::Tensor& lambda) {
  return at::mul(exact(dy), exact(second)).sum().neg_().view(lambda.sizes());
}

struct Difference : Function<Difference> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& first, const at::Tensor& second, const at::Tensor& lambda) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({second, lambda});
    return minus_product(exact(first), exact(second), lambda).to(first.scalar_type());
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
    const auto y = minus_product(exact(parts.select(3, 0)), exact(parts.select(3, 1)), lambda).contiguous();
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
