#include <starling/operators/functions/attention.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/relu.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

#include <starling/operators/functions/composed_attention.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/head_strides.hpp>
#include <starling/operators/functions/rotation.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Forward and backward arguments have these fields in common.
template <class T, class Arguments>
void describe(Arguments& arguments, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out,
              const at::Tensor& normaliser, const Heads& heads, const Scores& scores) {
  arguments.q = data<T>(q);
  arguments.k = data<T>(k);
  arguments.v = data<T>(v);
  arguments.out = data<T>(out);
  arguments.normaliser = data<kernels::Compute<T>>(normaliser);
  arguments.q_strides = head_strides(q, heads.query);
  arguments.k_strides = head_strides(k, heads.key);
  arguments.v_strides = head_strides(v, heads.value);
  arguments.out_strides = head_strides(out, heads.query);
  arguments.batch = q.size(0);
  arguments.heads = heads.query;
  arguments.key_heads = heads.key;
  arguments.value_heads = heads.value;
  arguments.queries = q.size(1);
  arguments.keys = k.size(1);
  arguments.key_width = q.size(2) / heads.query;
  arguments.value_width = v.size(2) / heads.value;
  arguments.scale = static_cast<kernels::Compute<T>>(1.0 / std::sqrt(static_cast<double>(arguments.key_width)));
  arguments.score = scores.kind;
  arguments.window = scores.sight.window;
  arguments.block = scores.sight.block;
}

at::Tensor run_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores,
                       const at::Tensor& normaliser) {
  const auto out = at::empty({q.size(0), q.size(1), heads.query * (v.size(2) / heads.value)}, q.options());
  with_type(q, [&]<class T>(T) {
    kernels::AttentionForward<T> arguments;
    describe<T>(arguments, q, k, v, out, normaliser, heads, scores);
    run_kernel(q, arguments);
  });
  return out;
}

// What the backward pass has to know, in numbers that it can save.
using Numbers = std::vector<std::int64_t>;
Numbers numbers_of(const Heads& heads, const Scores& scores) {
  return {heads.query,         heads.key,          heads.value,          static_cast<std::int64_t>(scores.kind),
          scores.sight.window, scores.sight.block, scores.rotary ? 1 : 0};
}
Heads heads_of(const Numbers& numbers) { return {numbers[0], numbers[1], numbers[2]}; }
Scores scores_of(const Numbers& numbers) {
  return {static_cast<kernels::AttentionScore>(numbers[3]), {numbers[4], numbers[5]}, numbers[6] != 0};
}

struct Attention : Function<Attention> {
  static variable_list forward(AutogradContext* context, const at::Tensor& q_input, const at::Tensor& k_input, const at::Tensor& v_input,
                               const Numbers& numbers, bool rotate_k) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->set_materialize_grads(false);
    const auto heads = heads_of(numbers);
    const auto scores = scores_of(numbers);
    auto q = as_rows(q_input);
    auto k = as_rows(k_input);
    const auto v = as_rows(v_input);
    if (scores.rotary) {
      const auto rotated = side_by_side(q, q.size(0), q.size(1), {q.size(2), rotate_k ? k.size(2) : 0});
      rotate(q, rotated[0], heads.query, 0);
      q = rotated[0];
      if (rotate_k) {
        rotate(k, rotated[1], heads.key, 0);
        k = rotated[1];
      }
    }
    const auto normaliser = at::empty({q.size(0), heads.query, q.size(1)}, exact_options(q));
    const auto y = run_forward(q, k, v, heads, scores, normaliser);
    context->save_for_backward({q, k, v, y, normaliser});
    context->saved_data["numbers"] = numbers;
    context->saved_data["rotate_k"] = rotate_k;
    if (!rotate_k) return {y};
    return {y, k};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& q = saved[0];
    const auto& k = saved[1];
    const auto& v = saved[2];
    const auto& y = saved[3];
    const auto numbers = context->saved_data["numbers"].toIntVector();
    const auto heads = heads_of(numbers);
    const auto scores = scores_of(numbers);
    const bool rotate_k = context->saved_data["rotate_k"].toBool();
    auto slices = side_by_side(q, q.size(0), q.size(1), {q.size(2), k.size(2), v.size(2)});
    if (gradients[0].defined()) {
      const auto dy = as_rows(gradients[0]);
      with_type(q, [&]<class T>(T) {
        kernels::AttentionBackward<T> arguments;
        describe<T>(arguments, q, k, v, y, saved[4], heads, scores);
        arguments.dout = data<T>(dy);
        arguments.dq = data<T>(slices[0]);
        arguments.dk = data<T>(slices[1]);
        arguments.dv = data<T>(slices[2]);
        arguments.dout_strides = head_strides(dy, heads.query);
        arguments.dq_strides = head_strides(slices[0], heads.query);
        arguments.dk_strides = head_strides(slices[1], heads.key);
        arguments.dv_strides = head_strides(slices[2], heads.value);
        run_kernel(q, arguments);
      });
    } else {
      for (auto& slice : slices) slice.zero_();
    }
    // Readers of these keys send their gradient back through the second output.
    if (rotate_k && gradients[1].defined()) slices[1].add_(gradients[1]);
    if (scores.rotary) rotate(slices[0], slices[0], heads.query, 0, true);
    if (rotate_k) rotate(slices[1], slices[1], heads.key, 0, true);
    return {slices[0], slices[1], slices[2], {}, {}};
  }
};

AttentionForm form_on_device(const Scores& scores) {
  const bool fuses = scores.kind == kernels::AttentionScore::softmax && has_fused_attention();
  return fuses ? AttentionForm::fused : AttentionForm::chunks;
}

}  // namespace

Attended attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores, bool rotate_k) {
  const bool returns_k = scores.rotary && rotate_k;
  if (!q.is_cpu()) {
    const auto keys = returns_k ? rotated(k, heads.key) : k;
    const auto queries = scores.rotary ? rotated(q, heads.query) : q;
    return {composed_attention(queries, keys, v, heads, scores, form_on_device(scores)), keys};
  }
  auto outputs = Attention::apply(q, k, v, numbers_of(heads, scores), returns_k);
  return {outputs[0], returns_k ? outputs[1] : k};
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores) {
  if (!q.is_cpu()) return composed_attention(q, k, v, heads, scores, AttentionForm::chunks);
  return run_forward(q, k, v, heads, scores, {});
}

at::Tensor positive_features(const at::Tensor& x) { return at::exp(at::clamp_max(x, 0)) + at::relu(x); }

}  // namespace starling::operators
