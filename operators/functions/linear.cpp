#include <starling/operators/functions/linear.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/kernels/convert.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/product.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct Project : Function<Project> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, at::TensorList weights) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->set_materialize_grads(false);
    const auto rows = as_rows(x);
    variable_list saved{rows};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(saved);

    std::vector<std::int64_t> outputs;
    Tensors matrices;
    for (const auto& weight : weights) {
      outputs.push_back(weight.size(0));
      matrices.push_back(weight);
    }
    auto slices = side_by_side(x, x.size(0), x.size(1), outputs);
    Tensors flats;
    for (const auto& slice : slices) flats.push_back(flat(slice));
    for (std::size_t i = 0, end = 0; i < matrices.size(); i = end) {
      end = i + 1;
      while (end < matrices.size() && continues_below(matrices[end - 1], matrices[end])) ++end;
      product_into(joined_across(flats, i, end), flat(rows), joined_below(matrices, i, end).t());
    }
    return slices;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto inputs = x.size(2);

    // The groups that have a gradient, in order.
    std::vector<std::size_t> which;
    Tensors flows;
    Tensors matrices;
    std::int64_t outputs = 0;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) continue;
      which.push_back(i);
      flows.push_back(flat(as_rows(gradients[i])));
      matrices.push_back(saved[i + 1]);
      outputs += matrices.back().size(0);
    }
    variable_list result(gradients.size() + 1);
    if (which.empty()) return result;

    const auto rows = flat(x);
    const bool wants_input = context->needs_input_grad(0);
    const auto weight_gradients = at::empty({outputs, inputs}, x.options());
    at::Tensor input_gradient;
    std::int64_t offset = 0;
    for (std::size_t i = 0, end = 0; i < flows.size(); i = end) {
      end = i + 1;
      while (end < flows.size() && continues_across(flows[end - 1], flows[end]) && continues_below(matrices[end - 1], matrices[end])) ++end;
      const auto flow = joined_across(flows, i, end);
      product_into(weight_gradients.narrow(0, offset, flow.size(1)), flow.t(), rows);
      for (auto j = i; j < end; ++j) {
        result[which[j] + 1] = weight_gradients.narrow(0, offset, matrices[j].size(0));
        offset += matrices[j].size(0);
      }
      if (!wants_input) continue;
      const auto weight = joined_below(matrices, i, end);
      if (input_gradient.defined()) {
        add_product(input_gradient, flow, weight);
      } else {
        input_gradient = product(flow, weight);
      }
    }
    if (wants_input) result[0] = input_gradient.view(x.sizes());
    return result;
  }
};

struct AddProjection : Function<AddProjection> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual, const at::Tensor& h, const at::Tensor& weight) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto rows = as_rows(h);
    context->save_for_backward({rows, weight});
    if (h.scalar_type() != at::kBFloat16) return at::addmm(flat(as_rows(residual)), flat(rows), weight.t()).view(residual.sizes());
    const auto x = residual.contiguous();
    const auto part = product(flat(rows), weight.t());
    const auto sum = at::empty_like(x);
    run_kernel(x, kernels::AddTo{data<float>(x), data<kernels::bfloat16>(part), data<float>(sum), x.numel()});
    return sum;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& h = saved[0];
    const auto flow = flat(as_rows(gradients[0].to(h.scalar_type())));
    return {gradients[0], product(flow, saved[1]).view(h.sizes()), product(flow.t(), flat(h))};
  }
};

}  // namespace

std::vector<at::Tensor> project(const at::Tensor& x, const std::vector<at::Tensor>& weights) {
  if (weights.empty()) return {};
  return Project::apply(x, at::TensorList(weights));
}

at::Tensor add_projection(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& weight) {
  return AddProjection::apply(residual, h, weight);
}

}  // namespace starling::operators
