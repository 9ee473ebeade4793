#include <starling/operators/functions/cross_entropy.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/product.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Logits of one chunk stay in the second-level cache, but a chunk is never so thin that the product becomes a
// matrix-vector one.
constexpr std::int64_t chunk_elements = std::int64_t{1} << 18;
constexpr std::int64_t chunk_rows_min = 128;
// On a device there is no cache to stay in, and every chunk costs a wait.
constexpr std::int64_t chunk_elements_of_device = std::int64_t{1} << 26;

void check_targets(const at::Tensor& targets, std::int64_t vocabulary) {
  const auto* const values = targets.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < targets.numel(); ++i) {
    const bool legal = (values[i] >= 0 && values[i] < vocabulary) || values[i] == kernels::ignored_target;
    if (!legal) {
      throw std::out_of_range("target " + std::to_string(values[i]) + " at position " + std::to_string(i) +
                              " is outside the vocabulary of " + std::to_string(vocabulary));
    }
  }
}

// Calls use(first row, hidden rows, logits) per chunk.
template <class Use>
void for_each_chunk(const at::Tensor& hidden, const at::Tensor& embedding, Use&& use) {
  const auto rows = hidden.size(0);
  const auto vocabulary = embedding.size(0);
  const auto chunk = std::min(rows, std::max(chunk_rows_min, (hidden.is_cpu() ? chunk_elements : chunk_elements_of_device) / vocabulary));
  const auto buffer = at::empty({chunk, vocabulary}, hidden.options());
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const auto count = std::min(chunk, rows - first);
    auto logits = buffer.narrow(0, 0, count);
    const auto part = hidden.narrow(0, first, count);
    product_into(logits, part, embedding.t());
    use(first, part, logits);
  }
}

// Waits for a device, whose sums decide whether training goes on.
template <class T>
kernels::CrossEntropySums run_chunk(const at::Tensor& logits, kernels::CrossEntropy<T> arguments) {
  if (logits.is_cpu()) return kernels::cross_entropy(arguments);
  kernels::CrossEntropySums sums;
  const auto there = at::empty({static_cast<std::int64_t>(sizeof(sums))}, logits.options().dtype(at::kByte));
  arguments.sums = static_cast<kernels::CrossEntropySums*>(there.data_ptr());
  run_kernel(logits, arguments);
  std::memcpy(&sums, there.cpu().data_ptr(), sizeof(sums));
  return sums;
}

struct CrossEntropy : Function<CrossEntropy> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden_input, const at::Tensor& embedding,
                            const at::Tensor& targets, bool wants_gradient, std::int64_t among) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto hidden = flat(as_rows(hidden_input));
    const auto counted = among < 0 ? kernels::counted_targets(targets.data_ptr<std::int64_t>(), targets.numel()) : among;
    const auto share = counted > 0 ? 1.0 / static_cast<double>(counted) : 0.0;
    at::Tensor dhidden;
    at::Tensor dembedding;
    if (wants_gradient) {
      dhidden = at::empty(hidden.sizes(), hidden.options());
      dembedding = at::zeros(embedding.sizes(), exact_options(embedding));
    }
    const auto there = targets.to(hidden.device());
    double sum = 0;
    for_each_chunk(hidden, embedding, [&](std::int64_t first, const at::Tensor& part, const at::Tensor& logits) {
      with_type(logits, [&]<class T>(T) {
        sum += run_chunk<T>(logits, {.logits = data<T>(logits),
                                     .targets = there.data_ptr<std::int64_t>() + first,
                                     .dlogits = wants_gradient ? data<T>(logits) : nullptr,
                                     .rows = logits.size(0),
                                     .vocabulary = logits.size(1),
                                     .logits_stride = logits.size(1),
                                     .dlogits_stride = logits.size(1),
                                     .gradient_scale = static_cast<kernels::Compute<T>>(share)})
                   .loss;
      });
      if (!wants_gradient) return;
      product_into(dhidden.narrow(0, first, part.size(0)), logits, embedding);
      add_product(dembedding, logits.t(), part);
    });
    if (wants_gradient) context->save_for_backward({dhidden.view(hidden_input.sizes()), dembedding});
    return at::full({}, sum * share, exact_options(hidden));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    return {at::mul(saved[0], gradients[0]), at::mul(saved[1], gradients[0]), {}, {}, {}};
  }
};

}  // namespace

at::Tensor cross_entropy(const at::Tensor& hidden, const at::Tensor& embedding, const at::Tensor& targets, std::int64_t counted) {
  const auto rows = targets.cpu().contiguous();
  check_targets(rows, embedding.size(0));
  const bool wants_gradient = c10::GradMode::is_enabled() && (hidden.requires_grad() || embedding.requires_grad());
  return CrossEntropy::apply(hidden, embedding, rows, wants_gradient, counted);
}

kernels::CrossEntropySums score(const at::Tensor& hidden, const at::Tensor& embedding, const at::Tensor& targets,
                                const at::Tensor& predictions) {
  const c10::NoGradGuard no_gradient;
  const auto rows = targets.cpu().contiguous();
  check_targets(rows, embedding.size(0));
  const auto there = rows.to(hidden.device());
  kernels::CrossEntropySums total;
  for_each_chunk(flat(as_rows(hidden)), embedding, [&](std::int64_t first, const at::Tensor&, const at::Tensor& logits) {
    with_type(logits, [&]<class T>(T) {
      const auto sums = run_chunk<T>(logits, {.logits = data<T>(logits),
                                              .targets = there.data_ptr<std::int64_t>() + first,
                                              .predictions = predictions.data_ptr<std::int64_t>() + first,
                                              .rows = logits.size(0),
                                              .vocabulary = logits.size(1),
                                              .logits_stride = logits.size(1)});
      total.loss += sums.loss;
      total.count += sums.count;
      total.correct += sums.correct;
    });
  });
  return total;
}

}  // namespace starling::operators
