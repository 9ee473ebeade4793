#include <starling/operators/functions/short_conv.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using kernels::ShortConvActivation;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

at::Tensor convolve(const at::Tensor& x, const at::Tensor& taps, ShortConvActivation activation, const at::Tensor* tail) {
  const auto y = at::empty(x.sizes(), x.options());
  with_type(x, [&]<class T>(T) {
    auto* const state = tail ? data<kernels::Compute<T>>(*tail) : nullptr;
    run_kernel(x, kernels::ShortConvForward<T>{.x = data<T>(x),
                                               .weight = data<kernels::Compute<T>>(taps),
                                               .initial = state,
                                               .y = data<T>(y),
                                               .final = state,
                                               .batch = x.size(0),
                                               .length = x.size(1),
                                               .channels = x.size(2),
                                               .taps = taps.size(1),
                                               .x_stride = row_stride(x),
                                               .y_stride = row_stride(y),
                                               .activation = activation});
  });
  return y;
}

// Writes dx, gives the gradient of the taps.
at::Tensor convolve_backward(const at::Tensor& x, const at::Tensor& taps, ShortConvActivation activation, const at::Tensor& dy,
                             const at::Tensor& dx) {
  const auto dtaps = at::zeros_like(taps);
  with_type(x, [&]<class T>(T) {
    run_kernel(x, kernels::ShortConvBackward<T>{.x = data<T>(x),
                                                .weight = data<kernels::Compute<T>>(taps),
                                                .dy = data<T>(dy),
                                                .dx = data<T>(dx),
                                                .dweight = data<kernels::Compute<T>>(dtaps),
                                                .batch = x.size(0),
                                                .length = x.size(1),
                                                .channels = x.size(2),
                                                .taps = taps.size(1),
                                                .x_stride = row_stride(x),
                                                .dy_stride = row_stride(dy),
                                                .dx_stride = row_stride(dx),
                                                .activation = activation});
  });
  return dtaps;
}

struct ShortConv : Function<ShortConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& taps, std::int64_t activation) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto x = as_rows(input);
    context->save_for_backward({x, taps});
    context->saved_data["activation"] = activation;
    return convolve(x, taps, static_cast<ShortConvActivation>(activation), nullptr);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto dx = at::empty(saved[0].sizes(), saved[0].options());
    const auto activation = static_cast<ShortConvActivation>(context->saved_data["activation"].toInt());
    const auto dtaps = convolve_backward(saved[0], saved[1], activation, as_rows(gradients[0]), dx);
    return {dx, dtaps, {}};
  }
};

struct GatedConv : Function<GatedConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& b_input, const at::Tensor& c_input, const at::Tensor& v_input,
                            const at::Tensor& taps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto b = as_rows(b_input);
    const auto c = as_rows(c_input);
    const auto v = as_rows(v_input);
    const auto gated = at::mul(b, v).contiguous();
    const auto mixed = convolve(gated, taps, ShortConvActivation::none, nullptr);
    context->save_for_backward({b, c, v, taps, gated, mixed});
    return at::mul(c, mixed);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& [b, c, v, taps, gated, mixed] = std::tie(saved[0], saved[1], saved[2], saved[3], saved[4], saved[5]);
    const auto& dy = gradients[0];
    const auto channels = b.size(2);
    auto slices = side_by_side(b, b.size(0), b.size(1), {channels, channels, channels});
    at::mul_out(slices[1], dy, mixed);
    const auto dmixed = at::mul(dy, c).contiguous();
    const auto dgated = at::empty(gated.sizes(), gated.options());
    const auto dtaps = convolve_backward(gated, taps, ShortConvActivation::none, dmixed, dgated);
    at::mul_out(slices[0], dgated, v);
    at::mul_out(slices[2], dgated, b);
    return {slices[0], slices[1], slices[2], dtaps};
  }
};

}  // namespace

at::Tensor short_conv(const at::Tensor& x, const at::Tensor& taps, ShortConvActivation activation, const at::Tensor* tail) {
  if (tail) return convolve(as_rows(x), taps, activation, tail);
  return ShortConv::apply(x, taps, static_cast<std::int64_t>(activation));
}

at::Tensor gated_conv(const at::Tensor& b, const at::Tensor& c, const at::Tensor& v, const at::Tensor& taps, const at::Tensor* tail) {
  if (tail) return at::mul(c, convolve(at::mul(b, v).contiguous(), taps, ShortConvActivation::none, tail));
  return GatedConv::apply(b, c, v, taps);
}

}  // namespace starling::operators
