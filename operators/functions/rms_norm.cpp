#include <starling/operators/functions/rms_norm.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/rms_norm.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Calls f(T{}, X{}) with the types of y and of x.
template <class F>
void with_types(const at::Tensor& y, const at::Tensor& x, F&& f) {
  if (y.scalar_type() == at::kBFloat16 && x.scalar_type() == at::kFloat) return f(kernels::bfloat16{}, float{});
  with_type(x, [&]<class T>(T) { f(T{}, T{}); });
}

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, at::ScalarType type) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto x = input.contiguous();
    const auto y = at::empty(x.sizes(), x.options().dtype(type));
    const auto inverse_rms = at::empty({row_count(x)}, exact_options(x));
    with_types(y, x, [&]<class T, class X>(T, X) {
      run_kernel(x, kernels::RmsNormForward<T, X>{.x = data<X>(x),
                                                  .weight = data<kernels::Compute<T>>(weight),
                                                  .y = data<T>(y),
                                                  .inverse_rms = data<kernels::Compute<T>>(inverse_rms),
                                                  .rows = row_count(x),
                                                  .width = x.size(-1),
                                                  .epsilon = static_cast<kernels::Compute<T>>(norm_epsilon)});
    });
    context->save_for_backward({x, weight, inverse_rms});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto dy = gradients[0].contiguous();
    const auto dx = at::empty_like(x);
    const auto dweight = at::zeros_like(saved[1]);
    with_types(dy, x, [&]<class T, class X>(T, X) {
      run_kernel(x, kernels::RmsNormBackward<T, X>{.x = data<X>(x),
                                                   .weight = data<kernels::Compute<T>>(saved[1]),
                                                   .inverse_rms = data<kernels::Compute<T>>(saved[2]),
                                                   .dy = data<T>(dy),
                                                   .dx = data<X>(dx),
                                                   .dweight = data<kernels::Compute<T>>(dweight),
                                                   .rows = row_count(x),
                                                   .width = x.size(-1)});
    });
    return {dx, dweight, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) { return RmsNorm::apply(x, weight, x.scalar_type()); }

at::Tensor rms_norm_to(at::ScalarType type, const at::Tensor& x, const at::Tensor& weight) { return RmsNorm::apply(x, weight, type); }

}  // namespace starling::operators
