#include <starling/operators/functions/rotation.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include <starling/kernels/rope.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

struct Table {
  at::Tensor cosine;  // (length, head width / 2), positions from 0
  at::Tensor sine;
};

// Angles depend on position and head width alone, so that one table per process serves every model; it doubles when a
// longer sequence comes.
Table table(const at::Tensor& like, std::int64_t length, std::int64_t head_width) {
  static std::mutex mutex;
  static std::map<std::pair<at::ScalarType, std::int64_t>, Table> tables;
  const std::lock_guard lock(mutex);
  const auto options = exact_options(like);
  auto& entry = tables[{exact_type(like), head_width}];
  if (!entry.cosine.defined() || entry.cosine.size(0) < length) {
    const auto rows = entry.cosine.defined() ? std::max(length, 2 * entry.cosine.size(0)) : std::max<std::int64_t>(length, 64);
    entry = {at::empty({rows, head_width / 2}, options), at::empty({rows, head_width / 2}, options)};
    with_exact_type(entry.cosine,
                    [&]<class T>(T) { kernels::rope_table<T>(data<T>(entry.cosine), data<T>(entry.sine), 0, rows, head_width); });
  }
  return entry;
}

}  // namespace

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
