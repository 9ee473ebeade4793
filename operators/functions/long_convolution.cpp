#include <starling/operators/functions/long_convolution.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

#include <starling/kernels/long_convolution.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct GatedLongConv : Function<GatedLongConv> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& b_input, const at::Tensor& c_input, const at::Tensor& v_input,
                            const at::Tensor& kernel_input) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto b = as_rows(b_input);
    const auto c = as_rows(c_input);
    const auto v = as_rows(v_input);
    const auto kernel = kernel_input.contiguous();
    const auto gated = at::mul(b, v).contiguous();
    const auto mixed = last_of_long_conv(gated, kernel, gated.size(1));
    context->save_for_backward({b, c, v, kernel, gated, mixed});
    return at::mul(c, mixed);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& [b, c, v, kernel, gated, mixed] = std::tie(saved[0], saved[1], saved[2], saved[3], saved[4], saved[5]);
    const auto& dy = gradients[0];
    const auto channels = b.size(2);
    auto slices = side_by_side(b, b.size(0), b.size(1), {channels, channels, channels});
    at::mul_out(slices[1], dy, mixed);
    const auto dmixed = at::mul(dy, c).contiguous();
    const auto dgated = at::empty(gated.sizes(), gated.options());
    const auto dkernel = at::empty_like(kernel);
    with_type(gated, [&]<class T>(T) {
      run_kernel(gated, kernels::LongConvolutionBackward<T>{.x = data<T>(gated),
                                                            .kernel = data<kernels::Compute<T>>(kernel),
                                                            .dy = data<T>(dmixed),
                                                            .dx = data<T>(dgated),
                                                            .dkernel = data<kernels::Compute<T>>(dkernel),
                                                            .batch = gated.size(0),
                                                            .length = gated.size(1),
                                                            .channels = channels,
                                                            .x_stride = gated.stride(1),
                                                            .x_batch = gated.stride(0),
                                                            .dy_stride = dmixed.stride(1),
                                                            .dy_batch = dmixed.stride(0),
                                                            .dx_stride = dgated.stride(1),
                                                            .dx_batch = dgated.stride(0),
                                                            .kernel_stride = channels,
                                                            .dkernel_stride = channels});
    });
    at::mul_out(slices[0], dgated, v);
    at::mul_out(slices[2], dgated, b);
    return {slices[0], slices[1], slices[2], dkernel};
  }
};

}  // namespace

at::Tensor gated_long_conv(const at::Tensor& b, const at::Tensor& c, const at::Tensor& v, const at::Tensor& kernel) {
  return GatedLongConv::apply(b, c, v, kernel);
}

at::Tensor last_of_long_conv(const at::Tensor& x, const at::Tensor& kernel, std::int64_t outputs) {
  const auto y = at::empty({x.size(0), outputs, x.size(2)}, x.options());
  with_type(x, [&]<class T>(T) {
    run_kernel(x, kernels::LongConvolutionForward<T>{.x = data<T>(x),
                                                     .kernel = data<kernels::Compute<T>>(kernel),
                                                     .y = data<T>(y),
                                                     .batch = x.size(0),
                                                     .length = x.size(1),
                                                     .outputs = outputs,
                                                     .channels = x.size(2),
                                                     .x_stride = x.stride(1),
                                                     .x_batch = x.stride(0),
                                                     .y_stride = y.stride(1),
                                                     .y_batch = y.stride(0),
                                                     .kernel_stride = kernel.stride(0)});
  });
  return y;
}

}  // namespace starling::operators
