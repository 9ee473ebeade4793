#include <starling/operators/functions/selective_scan.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/selective_scan.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Forward and backward arguments have these fields in common.
template <class T, class Arguments>
void describe(Arguments& arguments, const SelectiveScanInputs& inputs) {
  arguments.v = data<T>(inputs.v);
  arguments.delta = data<T>(inputs.delta);
  arguments.bias = data<kernels::Compute<T>>(inputs.bias);
  arguments.a_log = data<kernels::Compute<T>>(inputs.a_log);
  arguments.b = data<T>(inputs.b);
  arguments.c = data<T>(inputs.c);
  arguments.skip = data<kernels::Compute<T>>(inputs.skip);
  arguments.z = data<T>(inputs.z);
  arguments.batch = inputs.v.size(0);
  arguments.length = inputs.v.size(1);
  arguments.width = inputs.v.size(2);
  arguments.states = inputs.b.size(2);
  arguments.v_stride = row_stride(inputs.v);
  arguments.delta_stride = row_stride(inputs.delta);
  arguments.b_stride = row_stride(inputs.b);
  arguments.c_stride = row_stride(inputs.c);
  arguments.z_stride = row_stride(inputs.z);
}

at::Tensor run_forward(const SelectiveScanInputs& inputs, const at::Tensor& checkpoints, const at::Tensor& state) {
  const auto y = at::empty(inputs.v.sizes(), inputs.v.options());
  with_type(y, [&]<class T>(T) {
    kernels::SelectiveScanForward<T> arguments;
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

struct SelectiveScan : Function<SelectiveScan> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v_input, const at::Tensor& delta_input, const at::Tensor& bias,
                            const at::Tensor& a_log, const at::Tensor& b_input, const at::Tensor& c_input, const at::Tensor& skip,
                            const at::Tensor& z_input) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto v = as_rows(v_input);
    const auto delta = as_rows(delta_input);
    const auto b = as_rows(b_input);
    const auto c = as_rows(c_input);
    const auto z = as_rows(z_input);
    const auto checkpoints = at::empty({kernels::scan_checkpoint_elements(v.size(0), v.size(1), v.size(2), b.size(2))}, exact_options(v));
    context->save_for_backward({v, delta, bias, a_log, b, c, skip, z, checkpoints});
    return run_forward({v, delta, bias, a_log, b, c, skip, z}, checkpoints, {});
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const SelectiveScanInputs inputs{saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], saved[6], saved[7]};
    const auto& v = inputs.v;
    const auto states = inputs.b.size(2);
    const auto dy = as_rows(gradients[0]);
    const auto dv = at::empty(v.sizes(), v.options());
    const auto ddelta = at::empty(v.sizes(), v.options());
    const auto dz = at::empty(v.sizes(), v.options());
    const auto modulators = side_by_side(v, v.size(0), v.size(1), {states, states});
    const auto dbias = at::zeros_like(inputs.bias);
    const auto da_log = at::zeros_like(inputs.a_log);
    const auto dskip = at::zeros_like(inputs.skip);
    with_type(v, [&]<class T>(T) {
      kernels::SelectiveScanBackward<T> arguments;
      describe<T>(arguments, inputs);
      arguments.checkpoints = data<kernels::Compute<T>>(saved[8]);
      arguments.dy = data<T>(dy);
      arguments.dv = data<T>(dv);
      arguments.ddelta = data<T>(ddelta);
      arguments.dbias = data<kernels::Compute<T>>(dbias);
      arguments.da_log = data<kernels::Compute<T>>(da_log);
      arguments.db = data<T>(modulators[0]);
      arguments.dc = data<T>(modulators[1]);
      arguments.dskip = data<kernels::Compute<T>>(dskip);
      arguments.dz = data<T>(dz);
      arguments.dy_stride = row_stride(dy);
      arguments.dv_stride = row_stride(dv);
      arguments.ddelta_stride = row_stride(ddelta);
      arguments.db_stride = row_stride(modulators[0]);
      arguments.dc_stride = row_stride(modulators[1]);
      arguments.dz_stride = row_stride(dz);
      run_kernel(v, arguments);
    });
    return {dv, ddelta, dbias, da_log, modulators[0], modulators[1], dskip, dz};
  }
};

}  // namespace

at::Tensor selective_scan(const SelectiveScanInputs& inputs, const at::Tensor* state) {
  const auto& [v, delta, bias, a_log, b, c, skip, z] = inputs;
  if (!state) return SelectiveScan::apply(v, delta, bias, a_log, b, c, skip, z);
  return run_forward({as_rows(v), as_rows(delta), bias, a_log, as_rows(b), as_rows(c), skip, as_rows(z)}, {}, *state);
}

}  // namespace starling::operators
