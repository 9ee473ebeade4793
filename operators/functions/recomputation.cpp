#include <starling/operators/functions/recomputation.hpp>

#include <ATen/core/ivalue.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// The function on defined tensors alone, which is what autograd takes.
struct Body : torch::CustomClassHolder {
  std::function<Tensors(const Tensors&)> f;
  std::vector<bool> inputs;   ///< which are defined
  std::vector<bool> outputs;  ///< likewise, known after the first call

  variable_list operator()(const variable_list& defined) {
    Tensors all(inputs.size());
    for (std::size_t i = 0, next = 0; i < all.size(); ++i) {
      if (inputs[i]) all[i] = defined[next++];
    }
    outputs.clear();
    variable_list result;
    for (auto& output : f(all)) {
      outputs.push_back(output.defined());
      if (output.defined()) result.push_back(std::move(output));
    }
    return result;
  }
};

struct Recomputed : Function<Recomputed> {
  static variable_list forward(AutogradContext* context, at::TensorList inputs, const c10::intrusive_ptr<Body>& body) {
    context->set_materialize_grads(false);
    const variable_list kept(inputs.begin(), inputs.end());
    context->save_for_backward(kept);
    context->saved_data["body"] = c10::IValue::make_capsule(body);
    return (*body)(kept);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto body = c10::static_intrusive_pointer_cast<Body>(context->saved_data["body"].toCapsule());
    const c10::AutoGradMode with_gradient(true);
    variable_list leaves;
    variable_list sources;  // leaves that have a gradient
    for (const auto& input : context->get_saved_variables()) {
      leaves.push_back(input.detach());
      if (!input.requires_grad()) continue;
      sources.push_back(leaves.back().requires_grad_(true));
    }
    const auto outputs = (*body)(leaves);
    variable_list ends;
    variable_list flows;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!gradients[i].defined() || !outputs[i].requires_grad()) continue;
      ends.push_back(outputs[i]);
      flows.push_back(gradients[i]);
    }
    variable_list result(leaves.size() + 1);  // and the body has none
    if (ends.empty() || sources.empty()) return result;
    auto found = torch::autograd::grad(ends, sources, flows, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
    for (std::size_t i = 0, next = 0; i < leaves.size(); ++i) {
      if (leaves[i].requires_grad()) result[i] = std::move(found[next++]);
    }
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> recomputed(std::function<Tensors(const Tensors&)> f, const Tensors& inputs) {
  const auto body = c10::make_intrusive<Body>();
  body->f = std::move(f);
  variable_list defined;
  for (const auto& input : inputs) {
    body->inputs.push_back(input.defined());
    if (input.defined()) defined.push_back(input);
  }
  auto found = Recomputed::apply(at::TensorList(defined), body);
  Tensors result(body->outputs.size());
  for (std::size_t i = 0, next = 0; i < result.size(); ++i) {
    if (body->outputs[i]) result[i] = std::move(found[next++]);
  }
  return result;
}

}  // namespace starling::operators
