#include <starling/operators/functions/monarch.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <starling/operators/functions/product.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Tokens lie in the last dimension between the factors, so that every block is a matrix product without a copy; only the
// outputs are transposed.

/// (blocks, tokens, block) view of rows (…, blocks · block).
at::Tensor in_blocks(const at::Tensor& rows, std::int64_t blocks) {
  return flat(rows).view({row_count(rows), blocks, rows.size(2) / blocks}).transpose(0, 1);
}

struct Monarch : Function<Monarch> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& right, const at::Tensor& left) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto x = as_rows(input);
    const auto middle = batched_product(right, in_blocks(x, right.size(0)).transpose(1, 2));  // (blocks, block, tokens)
    const auto y = batched_product(left, middle.transpose(0, 1));                             // (block, block_outputs, tokens)
    context->save_for_backward({x, right, left, middle});
    return y.permute({2, 1, 0}).contiguous().view({x.size(0), x.size(1), left.size(0) * left.size(1)});
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& right = saved[1];
    const auto& left = saved[2];
    const auto middle = saved[3].transpose(0, 1);  // (block, blocks, tokens)
    const auto dy = gradients[0].reshape({row_count(x), left.size(1), left.size(0)}).permute({2, 1, 0}).contiguous();
    const auto dleft = batched_product(dy, middle.transpose(1, 2));
    const auto dmiddle = batched_product(left.transpose(1, 2), dy).transpose(0, 1);  // (blocks, block, tokens)
    const auto dright = batched_product(dmiddle, in_blocks(x, right.size(0)));
    const auto dx = at::empty(x.sizes(), x.options());
    batched_product_into(in_blocks(dx, right.size(0)), dmiddle.transpose(1, 2), right);
    return {dx, dright, dleft};
  }
};

}  // namespace

at::Tensor monarch(const at::Tensor& x, const at::Tensor& right, const at::Tensor& left) { return Monarch::apply(x, right, left); }

}  // namespace starling::operators
