#include <starling/operators/functions/state_space.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/complex_scan.hpp>
#include <starling/kernels/discretise.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

at::Tensor like_defined(const at::Tensor& tensor) {
  return tensor.defined() ? at::empty_like(tensor, tensor.options().requires_grad(false)) : at::Tensor();
}

/// Decay, weight and leak of the scan; leak undefined where nothing is liquid.
struct Scanned {
  at::Tensor decay;
  at::Tensor weight;
  at::Tensor leak;
};

Scanned discretise(const StateSpaceWeights& weights) {
  Scanned result{like_defined(weights.b), like_defined(weights.b), like_defined(weights.liquid)};
  with_exact_type(weights.b, [&]<class T>(T) {
    run_kernel(weights.a_log, kernels::Discretise<T>{.a_log = data<T>(weights.a_log),
                                                     .a_imaginary = data<T>(weights.a_imaginary),
                                                     .log_step = data<T>(weights.log_step),
                                                     .b = data<T>(weights.b),
                                                     .c = data<T>(weights.c),
                                                     .liquid = data<T>(weights.liquid),
                                                     .decay = data<T>(result.decay),
                                                     .weight = data<T>(result.weight),
                                                     .leak = data<T>(result.leak),
                                                     .pairs = weights.a_log.size(0),
                                                     .width = weights.a_log.size(1)});
  });
  return result;
}

// Forward and backward arguments have these fields in common.
template <class T, class Arguments>
void describe(Arguments& arguments, const at::Tensor& u, const Scanned& scanned, const at::Tensor& skip) {
  arguments.u = data<T>(u);
  arguments.decay = data<kernels::Compute<T>>(scanned.decay);
  arguments.weight = data<kernels::Compute<T>>(scanned.weight);
  arguments.leak = data<kernels::Compute<T>>(scanned.leak);
  arguments.skip = data<kernels::Compute<T>>(skip);
  arguments.batch = u.size(0);
  arguments.length = u.size(1);
  arguments.width = u.size(2);
  arguments.pairs = scanned.decay.size(0) / 2;
  arguments.u_stride = row_stride(u);
}

at::Tensor run_forward(const at::Tensor& u, const Scanned& scanned, const at::Tensor& skip, const at::Tensor& checkpoints,
                       const at::Tensor& state) {
  const auto y = at::empty(u.sizes(), u.options());
  with_type(u, [&]<class T>(T) {
    kernels::ComplexScanForward<T> arguments;
    describe<T>(arguments, u, scanned, skip);
    arguments.initial = data<kernels::Compute<T>>(state);
    arguments.final = data<kernels::Compute<T>>(state);
    arguments.y = data<T>(y);
    arguments.y_stride = row_stride(y);
    arguments.checkpoints = data<kernels::Compute<T>>(checkpoints);
    run_kernel(u, arguments);
  });
  return y;
}

struct StateSpace : Function<StateSpace> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& u_input, const at::Tensor& a_log, const at::Tensor& a_imaginary,
                            const at::Tensor& log_step, const at::Tensor& b, const at::Tensor& c, const at::Tensor& skip,
                            const at::Tensor& liquid_or_empty) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto liquid = liquid_or_empty.numel() > 0 ? liquid_or_empty : at::Tensor();
    const auto u = as_rows(u_input);
    const auto scanned = discretise({a_log, a_imaginary, log_step, b, c, skip, liquid});
    const auto checkpoints =
        at::empty({kernels::complex_scan_checkpoint_elements(u.size(0), u.size(1), u.size(2), a_log.size(0))}, exact_options(u));
    context->save_for_backward(
        {u, a_log, a_imaginary, log_step, b, c, skip, liquid, scanned.decay, scanned.weight, scanned.leak, checkpoints});
    return run_forward(u, scanned, skip, checkpoints, {});
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& u = saved[0];
    const StateSpaceWeights weights{saved[1], saved[2], saved[3], saved[4], saved[5], saved[6], saved[7]};
    const Scanned scanned{saved[8], saved[9], saved[10]};
    const Scanned flow{like_defined(scanned.decay), like_defined(scanned.weight), like_defined(scanned.leak)};
    const auto dy = as_rows(gradients[0]);
    const auto du = at::empty(u.sizes(), u.options());
    variable_list result{du};
    for (std::size_t i = 1; i <= 7; ++i) result.push_back(like_defined(saved[i]));
    with_type(u, [&]<class T>(T) {
      kernels::ComplexScanBackward<T> scan;
      describe<T>(scan, u, scanned, weights.skip);
      scan.checkpoints = data<kernels::Compute<T>>(saved[11]);
      scan.dy = data<T>(dy);
      scan.du = data<T>(du);
      scan.ddecay = data<kernels::Compute<T>>(flow.decay);
      scan.dweight = data<kernels::Compute<T>>(flow.weight);
      scan.dleak = data<kernels::Compute<T>>(flow.leak);
      scan.dskip = data<kernels::Compute<T>>(result[6]);
      scan.dy_stride = row_stride(dy);
      scan.du_stride = row_stride(du);
      run_kernel(u, scan);
    });
    with_exact_type(weights.b, [&]<class T>(T) {
      run_kernel(weights.a_log, kernels::DiscretiseBackward<T>{.a_log = data<T>(weights.a_log),
                                                               .a_imaginary = data<T>(weights.a_imaginary),
                                                               .log_step = data<T>(weights.log_step),
                                                               .b = data<T>(weights.b),
                                                               .c = data<T>(weights.c),
                                                               .liquid = data<T>(weights.liquid),
                                                               .ddecay = data<T>(flow.decay),
                                                               .dweight = data<T>(flow.weight),
                                                               .dleak = data<T>(flow.leak),
                                                               .da_log = data<T>(result[1]),
                                                               .da_imaginary = data<T>(result[2]),
                                                               .dlog_step = data<T>(result[3]),
                                                               .db = data<T>(result[4]),
                                                               .dc = data<T>(result[5]),
                                                               .dliquid = data<T>(result[7]),
                                                               .pairs = weights.a_log.size(0),
                                                               .width = weights.a_log.size(1)});
    });
    return result;
  }
};

}  // namespace

at::Tensor state_space(const at::Tensor& u, const StateSpaceWeights& weights) {
  const auto& [a_log, a_imaginary, log_step, b, c, skip, liquid] = weights;
  // Functions take no undefined tensor.
  const auto liquid_or_empty = liquid.defined() ? liquid : at::empty({0}, u.options().requires_grad(false));
  return StateSpace::apply(u, a_log, a_imaginary, log_step, b, c, skip, liquid_or_empty);
}

std::vector<at::Tensor> discretised(const StateSpaceWeights& weights) {
  const auto scanned = discretise(weights);
  return {scanned.decay, scanned.weight, scanned.leak};
}

at::Tensor continue_state_space(const at::Tensor& u, const std::vector<at::Tensor>& discretised, const at::Tensor& skip,
                                const at::Tensor& state) {
  return run_forward(as_rows(u), {discretised[0], discretised[1], discretised[2]}, skip, {}, state);
}

}  // namespace starling::operators
