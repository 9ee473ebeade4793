#include <starling/operators/functions/working_copies.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/as_strided.h>
#include <torch/csrc/autograd/custom_function.h>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct WorkingCopies : Function<WorkingCopies> {
  static variable_list forward(AutogradContext* context, at::TensorList weights, const at::Tensor* copies) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->set_materialize_grads(false);
    variable_list result;
    for (const auto& weight : weights) {
      result.push_back(at::as_strided(*copies, weight.sizes(), weight.strides(), weight.storage_offset()));
    }
    return result;
  }

  static variable_list backward(AutogradContext*, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    variable_list result;
    for (const auto& gradient : gradients) result.push_back(gradient.defined() ? gradient.to(at::kFloat) : gradient);
    result.emplace_back();
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> working_copies(const std::vector<at::Tensor>& weights, const at::Tensor& copies) {
  if (weights.empty()) return {};
  return WorkingCopies::apply(at::TensorList(weights), &copies);
}

}  // namespace starling::operators
