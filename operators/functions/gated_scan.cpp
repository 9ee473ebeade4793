#include <starling/operators/functions/gated_scan.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sigmoid_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/diagonal_scan.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Everything of one token that has both states and channels is (batch, length, states, width); what has only one of
// them is viewed so that it spreads over the other.
at::Tensor over_channels(const at::Tensor& per_state) { return per_state.unsqueeze(3); }
at::Tensor over_states(const at::Tensor& per_channel) { return per_channel.unsqueeze(2); }

at::Tensor product(const at::Tensor& per_state, const at::Tensor& per_channel) {
  auto out = at::empty({per_channel.size(0), per_channel.size(1), per_state.size(2), per_channel.size(2)}, per_channel.options());
  at::mul_out(out, over_channels(per_state), over_states(per_channel));
  return out;
}
/// Σ_n weight[n] x[n], per channel.
at::Tensor sum_over_states(const at::Tensor& weight, const at::Tensor& x) {
  auto sum = at::mul(weight.narrow(2, 0, 1), x.select(2, 0));
  for (std::int64_t n = 1; n < weight.size(2); ++n) sum.addcmul_(weight.narrow(2, n, 1), x.select(2, n));
  return sum;
}
/// Σ_c x[n, c] y[c], per state.
at::Tensor sum_over_channels(const at::Tensor& x, const at::Tensor& y) { return at::mul(x, over_states(y)).sum(3); }

struct Scanned {
  at::Tensor y;
  at::Tensor a;
  at::Tensor h;
};

// Decays near 1 and what they scale are no numbers for bfloat16: all between input and y is exact.
Scanned run_forward(const GatedScanInputs& inputs, const at::Tensor& state) {
  const auto v = exact(inputs.v);
  const auto b = exact(inputs.b);
  const auto states = b.size(2);
  auto a = at::empty({v.size(0), v.size(1), states * v.size(2)}, v.options());
  at::add_out(a, inputs.gate, inputs.bias).sigmoid_();
  a = a.view({v.size(0), v.size(1), states, v.size(2)});
  auto h = product(b, v);
  h.addcmul_(a, h, -1);  // (1 − a) B v, which the scan turns into h
  with_exact_type(h, [&]<class T>(T) {
    kernels::diagonal_scan_forward<T>({.a = a.data_ptr<T>(),
                                       .b = h.data_ptr<T>(),
                                       .initial = data<T>(state),
                                       .h = h.data_ptr<T>(),
                                       .batch = v.size(0),
                                       .length = v.size(1),
                                       .channels = states * v.size(2)});
  });
  return {sum_over_states(exact(inputs.c), h).to(inputs.v.scalar_type()), std::move(a), std::move(h)};
}

struct GatedScan : Function<GatedScan> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& v, const at::Tensor& gate, const at::Tensor& bias,
                            const at::Tensor& b, const at::Tensor& c) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto scanned = run_forward({v, gate, bias, b, c}, {});
    context->save_for_backward({v, b, c, scanned.a, scanned.h});
    return scanned.y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto v = exact(saved[0]);
    const auto b = exact(saved[1]);
    const auto c = exact(saved[2]);
    const auto& a = saved[3];
    const auto& h = saved[4];
    const auto dy = exact(gradients[0]).contiguous();
    const auto dc = sum_over_channels(h, dy);
    const auto flow = product(c, dy);  // the gradient of h: from its own token, then from all later ones
    const auto da = at::empty_like(flow);
    with_exact_type(flow, [&]<class T>(T) {
      kernels::diagonal_scan_backward<T>({.a = a.data_ptr<T>(),
                                          .h = h.data_ptr<T>(),
                                          .dh = flow.data_ptr<T>(),
                                          .da = da.data_ptr<T>(),
                                          .db = flow.data_ptr<T>(),
                                          .batch = v.size(0),
                                          .length = v.size(1),
                                          .channels = a.size(2) * a.size(3)});
    });
    // a also stands in 1 − a, before B v.
    da.addcmul_(flow, product(b, v), -1);
    const auto dgate = at::sigmoid_backward(da, a).flatten(2);
    const auto ddrive = flow.addcmul_(a, flow, -1);
    const auto type = saved[0].scalar_type();
    return {sum_over_states(b, ddrive).to(type), dgate.to(type), dgate.sum(at::IntArrayRef{0, 1}), sum_over_channels(ddrive, v).to(type),
            dc.to(type)};
  }
};

}  // namespace

at::Tensor gated_scan(const GatedScanInputs& inputs, const at::Tensor* state) {
  const auto& [v, gate, bias, b, c] = inputs;
  if (!state) return GatedScan::apply(v, gate, bias, b, c);
  auto scanned = run_forward(inputs, *state);
  state->copy_(scanned.h.select(1, v.size(1) - 1));
  return scanned.y;
}

}  // namespace starling::operators
