#include <starling/operators/functions/gated_unit.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct GatedUnit : Function<GatedUnit> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_input, const at::Tensor& value_input,
                            std::int64_t activation) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto gate = as_rows(gate_input);
    const auto value = as_rows(value_input);
    context->save_for_backward({gate, value});
    context->saved_data["activation"] = activation;
    const auto y = at::empty(gate.sizes(), gate.options());
    with_type(y, [&]<class T>(T) {
      run_kernel(gate, kernels::GatedUnitForward<T>{.gate = data<T>(gate),
                                                    .value = data<T>(value),
                                                    .y = data<T>(y),
                                                    .rows = row_count(y),
                                                    .width = y.size(-1),
                                                    .gate_stride = row_stride(gate),
                                                    .value_stride = row_stride(value),
                                                    .y_stride = row_stride(y),
                                                    .activation = static_cast<kernels::Gate>(activation)});
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& gate = saved[0];
    const auto& value = saved[1];
    const auto dy = as_rows(gradients[0]);
    const auto channels = gate.size(2);
    auto slices = side_by_side(gate, gate.size(0), gate.size(1), {channels, channels});
    with_type(gate, [&]<class T>(T) {
      run_kernel(gate, kernels::GatedUnitBackward<T>{.gate = data<T>(gate),
                                                     .value = data<T>(value),
                                                     .dy = data<T>(dy),
                                                     .dgate = data<T>(slices[0]),
                                                     .dvalue = data<T>(slices[1]),
                                                     .rows = row_count(gate),
                                                     .width = channels,
                                                     .gate_stride = row_stride(gate),
                                                     .value_stride = row_stride(value),
                                                     .dy_stride = row_stride(dy),
                                                     .dgate_stride = row_stride(slices[0]),
                                                     .dvalue_stride = row_stride(slices[1]),
                                                     .activation = static_cast<kernels::Gate>(context->saved_data["activation"].toInt())});
    });
    return {slices[0], slices[1], {}};
  }
};

}  // namespace

at::Tensor gated_unit(const at::Tensor& gate, const at::Tensor& value, kernels::Gate activation) {
  return GatedUnit::apply(gate, value, static_cast<std::int64_t>(activation));
}

}  // namespace starling::operators
