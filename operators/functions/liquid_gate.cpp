#include <starling/operators/functions/liquid_gate.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/diagonal_scan.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct Scanned {
  at::Tensor flow;   ///< f
  at::Tensor decay;  ///< a = 1 / (1 + Δ (1/τ + f))
  at::Tensor g;      ///< g_t = a_t g_{t−1} + a_t Δ f_t
};

Scanned run_forward(const LiquidGateInputs& inputs, const at::Tensor& state) {
  auto flow = at::softplus(at::add(exact(inputs.u), inputs.bias)).contiguous();
  const auto delta = at::exp(inputs.log_delta);
  auto decay = at::add(flow, at::exp(at::neg(inputs.log_tau))).mul_(delta).add_(1).reciprocal_();
  auto g = at::mul(flow, delta).mul_(decay);
  with_exact_type(g, [&]<class T>(T) {
    run_kernel(g, kernels::DiagonalScanForward<T>{.a = decay.data_ptr<T>(),
                                                  .b = g.data_ptr<T>(),
                                                  .initial = data<T>(state),
                                                  .h = g.data_ptr<T>(),
                                                  .batch = g.size(0),
                                                  .length = g.size(1),
                                                  .channels = 1});
  });
  return {std::move(flow), std::move(decay), std::move(g)};
}

struct LiquidGate : Function<LiquidGate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& u, const at::Tensor& bias, const at::Tensor& log_tau,
                            const at::Tensor& log_delta) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto scanned = run_forward({u, bias, log_tau, log_delta}, {});
    context->save_for_backward({u, bias, log_tau, log_delta, scanned.flow, scanned.decay, scanned.g});
    return scanned.g;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& flow = saved[4];
    const auto& decay = saved[5];
    const auto& g = saved[6];
    const auto leak = at::exp(at::neg(saved[2]));  // 1/τ
    const auto delta = at::exp(saved[3]);
    const auto dg = gradients[0].contiguous();
    const auto da = at::empty_like(dg);
    const auto db = at::empty_like(dg);
    with_exact_type(dg, [&]<class T>(T) {
      run_kernel(dg, kernels::DiagonalScanBackward<T>{.a = decay.data_ptr<T>(),
                                                      .h = g.data_ptr<T>(),
                                                      .dh = dg.data_ptr<T>(),
                                                      .da = da.data_ptr<T>(),
                                                      .db = db.data_ptr<T>(),
                                                      .batch = g.size(0),
                                                      .length = g.size(1),
                                                      .channels = 1});
    });
    // b = Δ f a, so that all of a's gradient is da + Δ f db; a = 1 / r with r = 1 + Δ (1/τ + f).
    const auto drate = at::mul(flow, db).mul_(delta).add_(da).mul_(decay).mul_(decay).neg_();
    const auto through_drive = at::mul(decay, db);
    const auto dflow = at::add(drate, through_drive).mul_(delta);
    const auto du = at::sigmoid(at::add(exact(saved[0]), saved[1])).mul_(dflow);
    const auto sum = [](const at::Tensor& x) { return x.sum().view({1}); };
    const auto dlog_tau = sum(drate).mul_(delta).mul_(leak).neg_();
    const auto dlog_delta = sum(at::add(flow, leak).mul_(drate).add_(at::mul(flow, through_drive))).mul_(delta);
    return {du.to(saved[0].scalar_type()), sum(du), dlog_tau, dlog_delta};
  }
};

}  // namespace

at::Tensor liquid_gate(const LiquidGateInputs& inputs, const at::Tensor* state) {
  const auto& [u, bias, log_tau, log_delta] = inputs;
  if (!state) return LiquidGate::apply(u, bias, log_tau, log_delta);
  auto scanned = run_forward(inputs, *state);
  state->copy_(scanned.g.select(1, u.size(1) - 1));
  return scanned.g;
}

}  // namespace starling::operators
