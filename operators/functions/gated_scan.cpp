#include <starling/operators/functions/gated_scan.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/gated_scan.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Forward and backward arguments have these fields in common.
template <class T, class Arguments>
void describe(Arguments& arguments, const GatedScanInputs& inputs) {
  arguments.v = data<T>(inputs.v);
  arguments.gate = data<T>(inputs.gate);
  arguments.bias = data<kernels::Compute<T>>(inputs.bias);
  arguments.b = data<T>(inputs.b);
  arguments.c = data<T>(inputs.c);
  arguments.batch = inputs.v.size(0);
  arguments.length = inputs.v.size(1);
  arguments.width = inputs.v.size(2);
  arguments.states = inputs.b.size(2);
  arguments.v_stride = row_stride(inputs.v);
  arguments.gate_stride = row_stride(inputs.gate);
  arguments.b_stride = row_stride(inputs.b);
  arguments.c_stride = row_stride(inputs.c);
}

at::Tensor run_forward(const GatedScanInputs& inputs, const at::Tensor& checkpoints, const at::Tensor& state) {
  const auto y = at::empty(inputs.v.sizes(), inputs.v.options());
  with_type(y, [&]<class T>(T) {
    kernels::GatedScanForward<T> arguments;
    describe<T>(arguments, inputs);
    arguments.y = data<T>(y);
    arguments.y_stride = row_stride(y);
    arguments.checkpoints = data<kernels::Compute<T>>(checkpoints);
    arguments.initial = data<kernels::Compute<T>>(state);
    arguments.final = data<kernels::Compute<T>>(state);
    run_kernel(y, arguments);
  });
  return y;
}

struct GatedScan : Function<GatedScan> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v_input, const at::Tensor& gate_input, const at::Tensor& bias,
                            const at::Tensor& b_input, const at::Tensor& c_input) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto v = as_rows(v_input);
    const auto gate = as_rows(gate_input);
    const auto b = as_rows(b_input);
    const auto c = as_rows(c_input);
    const auto checkpoints =
        at::empty({kernels::gated_scan_checkpoint_elements(v.size(0), v.size(1), v.size(2), b.size(2))}, exact_options(v));
    context->save_for_backward({v, gate, bias, b, c, checkpoints});
    return run_forward({v, gate, bias, b, c}, checkpoints, {});
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const GatedScanInputs inputs{saved[0], saved[1], saved[2], saved[3], saved[4]};
    const auto& v = inputs.v;
    const auto dy = as_rows(gradients[0]);
    const auto slices = side_by_side(v, v.size(0), v.size(1), {v.size(2), inputs.gate.size(2), inputs.b.size(2), inputs.c.size(2)});
    const auto dbias = at::zeros_like(inputs.bias);
    with_type(v, [&]<class T>(T) {
      kernels::GatedScanBackward<T> arguments;
      describe<T>(arguments, inputs);
      arguments.checkpoints = data<kernels::Compute<T>>(saved[5]);
      arguments.dy = data<T>(dy);
      arguments.dv = data<T>(slices[0]);
      arguments.dgate = data<T>(slices[1]);
      arguments.dbias = data<kernels::Compute<T>>(dbias);
      arguments.db = data<T>(slices[2]);
      arguments.dc = data<T>(slices[3]);
      arguments.dy_stride = row_stride(dy);
      arguments.dv_stride = row_stride(slices[0]);
      arguments.dgate_stride = row_stride(slices[1]);
      arguments.db_stride = row_stride(slices[2]);
      arguments.dc_stride = row_stride(slices[3]);
      run_kernel(v, arguments);
    });
    return {slices[0], slices[1], dbias, slices[2], slices[3]};
  }
};

}  // namespace

at::Tensor gated_scan(const GatedScanInputs& inputs, const at::Tensor* state) {
  const auto& [v, gate, bias, b, c] = inputs;
  if (!state) return GatedScan::apply(v, gate, bias, b, c);
  return run_forward({as_rows(v), as_rows(gate), bias, as_rows(b), as_rows(c)}, {}, *state);
}

}  // namespace starling::operators
