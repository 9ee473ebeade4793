#include <starling/operators/functions/state_space.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/complex_scan.hpp>
#include <starling/kernels/discretise.hpp>
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
  with_type(weights.b, [&]<class T>(T) {
    kernels::discretise<T>({.a_log = weights.a_log.data_ptr<T>(),
                            .a_imaginary = weights.a_imaginary.data_ptr<T>(),
                            .log_step = weights.log_step.data_ptr<T>(),
                            .b = weights.b.data_ptr<T>(),
                            .c = weights.c.data_ptr<T>(),
                            .liquid = data<T>(weights.liquid),
                            .decay = result.decay.data_ptr<T>(),
                            .weight = result.weight.data_ptr<T>(),
                            .leak = data<T>(result.leak),
                            .pairs = weights.a_log.size(0),
                            .width = weights.a_log.size(1)});
  });
  return result;
}

// Forward and backward arguments have these fields in common.
template <class T, class Arguments>
void describe(Arguments& arguments, const at::Tensor& u, const Scanned& scanned, const at::Tensor& skip) {
  arguments.u = u.data_ptr<T>();
  arguments.decay = scanned.decay.data_ptr<T>();
  arguments.weight = scanned.weight.data_ptr<T>();
  arguments.leak = data<T>(scanned.leak);
  arguments.skip = skip.data_ptr<T>();
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
    arguments.initial = data<T>(state);
    arguments.final = data<T>(state);
    arguments.y = y.data_ptr<T>();
    arguments.y_stride = row_stride(y);
    arguments.checkpoints = data<T>(checkpoints);
    kernels::complex_scan_forward(arguments);
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
        at::empty({kernels::complex_scan_checkpoint_elements(u.size(0), u.size(1), u.size(2), a_log.size(0))}, u.options());
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
      scan.checkpoints = saved[11].data_ptr<T>();
      scan.dy = dy.data_ptr<T>();
      scan.du = du.data_ptr<T>();
      scan.ddecay = flow.decay.data_ptr<T>();
      scan.dweight = flow.weight.data_ptr<T>();
      scan.dleak = data<T>(flow.leak);
      scan.dskip = result[6].data_ptr<T>();
      scan.dy_stride = row_stride(dy);
      scan.du_stride = row_stride(du);
      kernels::complex_scan_backward(scan);
      kernels::discretise_backward<T>({.a_log = weights.a_log.data_ptr<T>(),
                                       .a_imaginary = weights.a_imaginary.data_ptr<T>(),
                                       .log_step = weights.log_step.data_ptr<T>(),
                                       .b = weights.b.data_ptr<T>(),
                                       .c = weights.c.data_ptr<T>(),
                                       .liquid = data<T>(weights.liquid),
                                       .ddecay = flow.decay.data_ptr<T>(),
                                       .dweight = flow.weight.data_ptr<T>(),
                                       .dleak = data<T>(flow.leak),
                                       .da_log = result[1].data_ptr<T>(),
                                       .da_imaginary = result[2].data_ptr<T>(),
                                       .dlog_step = result[3].data_ptr<T>(),
                                       .db = result[4].data_ptr<T>(),
                                       .dc = result[5].data_ptr<T>(),
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
