#include <starling/operators/functions/linear_attention.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

#include <starling/kernels/linear_attention.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/head_strides.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Forward and backward arguments have these fields in common.
template <class T, class Arguments>
void describe(Arguments& arguments, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& y,
              std::int64_t heads) {
  arguments.q = data<T>(q);
  arguments.k = data<T>(k);
  arguments.v = data<T>(v);
  arguments.y = data<T>(y);
  arguments.q_strides = head_strides(q, heads);
  arguments.k_strides = head_strides(k, heads);
  arguments.v_strides = head_strides(v, heads);
  arguments.y_strides = head_strides(y, heads);
  arguments.batch = q.size(0);
  arguments.length = q.size(1);
  arguments.heads = heads;
  arguments.key_width = k.size(2) / heads;
  arguments.value_width = v.size(2) / heads;
}

struct LinearAttention : Function<LinearAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_input, const at::Tensor& k_input, const at::Tensor& v_input,
                            std::int64_t heads) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto q = as_rows(q_input);
    const auto k = as_rows(k_input);
    const auto v = as_rows(v_input);
    const auto y = at::empty(v.sizes(), v.options());
    const auto inverse_norm = at::empty({q.size(0), heads, q.size(1)}, exact_options(q));
    with_type(q, [&]<class T>(T) {
      kernels::LinearAttentionForward<T> arguments;
      describe<T>(arguments, q, k, v, y, heads);
      arguments.inverse_norm = data<kernels::Compute<T>>(inverse_norm);
      run_kernel(q, arguments);
    });
    context->save_for_backward({q, k, v, y, inverse_norm});
    context->saved_data["heads"] = heads;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& [q, k, v, y, inverse_norm] = std::tie(saved[0], saved[1], saved[2], saved[3], saved[4]);
    const auto heads = context->saved_data["heads"].toInt();
    const auto dy = as_rows(gradients[0]);
    const auto slices = side_by_side(q, q.size(0), q.size(1), {q.size(2), k.size(2), v.size(2)});
    with_type(q, [&]<class T>(T) {
      kernels::LinearAttentionBackward<T> arguments;
      describe<T>(arguments, q, k, v, y, heads);
      arguments.inverse_norm = data<kernels::Compute<T>>(inverse_norm);
      arguments.dy = data<T>(dy);
      arguments.dq = data<T>(slices[0]);
      arguments.dk = data<T>(slices[1]);
      arguments.dv = data<T>(slices[2]);
      arguments.dy_strides = head_strides(dy, heads);
      arguments.dq_strides = head_strides(slices[0], heads);
      arguments.dk_strides = head_strides(slices[1], heads);
      arguments.dv_strides = head_strides(slices[2], heads);
      run_kernel(q, arguments);
    });
    return {slices[0], slices[1], slices[2], {}};
  }
};

}  // namespace

at::Tensor linear_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads) {
  return LinearAttention::apply(q, k, v, heads);
}

at::Tensor continue_linear_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads,
                                     const AttentionSums& sums) {
  const auto y = at::empty(v.sizes(), v.options());
  with_type(q, [&]<class T>(T) {
    kernels::LinearAttentionForward<T> arguments;
    describe<T>(arguments, q, k, v, y, heads);
    arguments.initial_state = data<kernels::Compute<T>>(sums.state);
    arguments.initial_key_sum = data<kernels::Compute<T>>(sums.key_sum);
    arguments.final_state = sums.carry_state ? data<kernels::Compute<T>>(sums.state) : nullptr;
    arguments.final_key_sum = sums.carry_key_sum ? data<kernels::Compute<T>>(sums.key_sum) : nullptr;
    run_kernel(q, arguments);
  });
  return y;
}

}  // namespace starling::operators
