#include <starling/operators/functions/rms_norm.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/rms_norm.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto x = input.contiguous();
    const auto y = at::empty_like(x);
    const auto inverse_rms = at::empty({row_count(x)}, x.options());
    with_type(x, [&]<class T>(T) {
      kernels::rms_norm_forward<T>({.x = x.data_ptr<T>(),
                                    .weight = weight.data_ptr<T>(),
                                    .y = y.data_ptr<T>(),
                                    .inverse_rms = inverse_rms.data_ptr<T>(),
                                    .rows = row_count(x),
                                    .width = x.size(-1),
                                    .epsilon = static_cast<T>(norm_epsilon)});
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
    with_type(x, [&]<class T>(T) {
      kernels::rms_norm_backward<T>({.x = x.data_ptr<T>(),
                                     .weight = saved[1].data_ptr<T>(),
                                     .inverse_rms = saved[2].data_ptr<T>(),
                                     .dy = dy.data_ptr<T>(),
                                     .dx = dx.data_ptr<T>(),
                                     .dweight = dweight.data_ptr<T>(),
                                     .rows = row_count(x),
                                     .width = x.size(-1)});
    });
    return {dx, dweight};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) { return RmsNorm::apply(x, weight); }

}  // namespace starling::operators
