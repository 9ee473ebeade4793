#include <starling/operators/functions/rotation.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include <starling/kernels/rope.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

struct Table {
  at::Tensor cosine;  // (length, head width / 2), positions from 0
  at::Tensor sine;
};

// Angles depend on position and head width alone, so that one table per process and device serves every model; it doubles when
// a longer sequence comes.
Table table(const at::Tensor& like, std::int64_t length, std::int64_t head_width) {
  static std::mutex mutex;
  static std::map<std::tuple<at::DeviceType, int, at::ScalarType, std::int64_t>, Table> tables;
  const std::lock_guard lock(mutex);
  const auto options = exact_options(like).device(at::kCPU);
  auto& entry = tables[{like.device().type(), like.device().index(), exact_type(like), head_width}];
  if (!entry.cosine.defined() || entry.cosine.size(0) < length) {
    const auto rows = entry.cosine.defined() ? std::max(length, 2 * entry.cosine.size(0)) : std::max<std::int64_t>(length, 64);
    entry = {at::empty({rows, head_width / 2}, options), at::empty({rows, head_width / 2}, options)};
    with_exact_type(entry.cosine,
                    [&]<class T>(T) { kernels::rope_table<T>(data<T>(entry.cosine), data<T>(entry.sine), 0, rows, head_width); });
    entry = {entry.cosine.to(like.device()), entry.sine.to(like.device())};
  }
  return entry;
}

struct Rotated : torch::autograd::Function<Rotated> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, std::int64_t heads) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->saved_data["heads"] = heads;
    return turned(x, heads, false);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return {turned(gradients[0], context->saved_data["heads"].toInt(), true), {}};
  }

 private:
  static at::Tensor turned(const at::Tensor& x, std::int64_t heads, bool inverse) {
    const auto rows = as_rows(x);
    const auto y = at::empty(x.sizes(), x.options());
    rotate(rows, y, heads, 0, inverse);
    return y;
  }
};

}  // namespace

at::Tensor rotated(const at::Tensor& x, std::int64_t heads) { return Rotated::apply(x, heads); }

void rotate(const at::Tensor& x, const at::Tensor& y, std::int64_t heads, std::int64_t position, bool inverse) {
  const auto head_width = x.size(2) / heads;
  const auto angles = table(x, position + x.size(1), head_width);
  with_type(x, [&]<class T>(T) {
    run_kernel(x, kernels::Rope<T>{.x = data<T>(x),
                                   .y = data<T>(y),
                                   .cosine = data<kernels::Compute<T>>(angles.cosine) + position * (head_width / 2),
                                   .sine = data<kernels::Compute<T>>(angles.sine) + position * (head_width / 2),
                                   .batch = x.size(0),
                                   .length = x.size(1),
                                   .heads = heads,
                                   .head_width = head_width,
                                   .x_batch_stride = x.size(1) * row_stride(x),
                                   .x_token_stride = row_stride(x),
                                   .x_head_stride = head_width,
                                   .y_batch_stride = y.size(1) * row_stride(y),
                                   .y_token_stride = row_stride(y),
                                   .y_head_stride = head_width,
                                   .inverse = inverse});
  });
}

}  // namespace starling::operators
