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
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

#include <starling/base/logit_chunk.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/product.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

std::int64_t chunk_of(const at::Tensor& hidden, const at::Tensor& embedding) {
  return logit_chunk_rows(hidden.size(0), embedding.size(0), !hidden.is_cpu());
}

// Calls use(first row, hidden rows, logits) per chunk.
template <class Use>
void for_each_chunk(const at::Tensor& hidden, const at::Tensor& embedding, Use&& use) {
  const auto rows = hidden.size(0);
  const auto chunk = chunk_of(hidden, embedding);
  const auto buffer = at::empty({chunk, embedding.size(0)}, hidden.options());
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const auto count = std::min(chunk, rows - first);
    auto logits = buffer.narrow(0, 0, count);
    const auto part = hidden.narrow(0, first, count);
    product_into(logits, part, embedding.t());
    use(first, part, logits);
  }
}

/// The sums of all chunks. Those of a device stay there, one row of numbers for a chunk, until somebody asks for them.
class Sums {
 public:
  Sums(const at::Tensor& hidden, const at::Tensor& embedding) : options_(hidden.options()) {
    if (hidden.is_cpu()) return;
    const auto chunk = std::max<std::int64_t>(1, chunk_of(hidden, embedding));
    there_ = at::empty({(hidden.size(0) + chunk - 1) / chunk, numbers}, options_.dtype(at::kLong));
  }

  template <class T>
  void run(const at::Tensor& logits, kernels::CrossEntropy<T> arguments) {
    if (there_.defined()) {
      arguments.sums = reinterpret_cast<kernels::CrossEntropySums*>(there_.data_ptr<std::int64_t>() + numbers * next_++);
      return run_kernel(logits, arguments);
    }
    const auto sums = kernels::cross_entropy(arguments);
    here_.loss += sums.loss;
    here_.count += sums.count;
    here_.correct += sums.correct;
  }

  /// The loss × share, of the exact type of the hidden values, where they are; waits for nothing.
  at::Tensor loss(double share) const {
    const auto type = options_.dtype() == at::kBFloat16 ? at::kFloat : c10::typeMetaToScalarType(options_.dtype());
    if (!there_.defined()) return at::full({}, here_.loss * share, options_.dtype(type));
    return losses().sum().mul_(share).to(type);
  }

  kernels::CrossEntropySums wait() const {
    if (!there_.defined()) return here_;
    const auto sums = there_.sum(0);
    sums.narrow(0, 0, 1).copy_(losses().sum(0, /*keepdim=*/true).view(at::kLong));
    const auto here = sums.cpu();
    kernels::CrossEntropySums result;
    std::memcpy(&result, here.data_ptr(), sizeof(result));
    return result;
  }

 private:
  static constexpr std::int64_t numbers = 3;
  static_assert(sizeof(kernels::CrossEntropySums) == numbers * sizeof(std::int64_t) && offsetof(kernels::CrossEntropySums, loss) == 0);

  at::Tensor losses() const { return there_.view(at::kDouble).select(1, 0); }

  at::TensorOptions options_;
  kernels::CrossEntropySums here_;
  at::Tensor there_;
  std::int64_t next_ = 0;
};

struct CrossEntropy : Function<CrossEntropy> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden_input, const at::Tensor& embedding,
                            const at::Tensor& targets, bool wants_gradient, std::int64_t counted) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto hidden = flat(as_rows(hidden_input));
    const auto share = counted > 0 ? 1.0 / static_cast<double>(counted) : 0.0;
    at::Tensor dhidden;
    at::Tensor dembedding;
    if (wants_gradient) {
      dhidden = at::empty(hidden.sizes(), hidden.options());
      dembedding = at::zeros(embedding.sizes(), exact_options(embedding));
    }
    Sums sums(hidden, embedding);
    for_each_chunk(hidden, embedding, [&](std::int64_t first, const at::Tensor& part, const at::Tensor& logits) {
      with_type(logits, [&]<class T>(T) {
        sums.run<T>(logits, {.logits = data<T>(logits),
                             .targets = targets.data_ptr<std::int64_t>() + first,
                             .dlogits = wants_gradient ? data<T>(logits) : nullptr,
                             .rows = logits.size(0),
                             .vocabulary = logits.size(1),
                             .logits_stride = logits.size(1),
                             .dlogits_stride = logits.size(1),
                             .gradient_scale = static_cast<kernels::Compute<T>>(share)});
      });
      if (!wants_gradient) return;
      product_into(dhidden.narrow(0, first, part.size(0)), logits, embedding);
      add_product(dembedding, logits.t(), part);
    });
    if (wants_gradient) context->save_for_backward({dhidden.view(hidden_input.sizes()), dembedding});
    return sums.loss(share);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto saved = context->get_saved_variables();
    return {at::mul(saved[0], gradients[0]), at::mul(saved[1], gradients[0]), {}, {}, {}};
  }
};

/// Targets where the hidden values are, checked where they come from the CPU.
at::Tensor checked(const at::Tensor& targets, const at::Tensor& hidden, const at::Tensor& embedding) {
  const auto rows = targets.contiguous();
  if (rows.is_cpu()) check_targets(rows, embedding.size(0));
  return rows.to(hidden.device());
}

}  // namespace

void check_targets(const at::Tensor& targets, std::int64_t vocabulary) {
  const auto rows = targets.contiguous();
  const auto* const values = rows.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    const bool legal = (values[i] >= 0 && values[i] < vocabulary) || values[i] == kernels::ignored_target;
    if (!legal) {
      throw std::out_of_range("target " + std::to_string(values[i]) + " at position " + std::to_string(i) +
                              " is outside the vocabulary of " + std::to_string(vocabulary));
    }
  }
}

at::Tensor cross_entropy(const at::Tensor& hidden, const at::Tensor& embedding, const at::Tensor& targets, std::int64_t counted) {
  const auto there = checked(targets, hidden, embedding);
  if (counted < 0) {
    const auto here = targets.cpu().contiguous();
    counted = kernels::counted_targets(here.data_ptr<std::int64_t>(), here.numel());
  }
  const bool wants_gradient = c10::GradMode::is_enabled() && (hidden.requires_grad() || embedding.requires_grad());
  return CrossEntropy::apply(hidden, embedding, there, wants_gradient, counted);
}

kernels::CrossEntropySums score(const at::Tensor& hidden, const at::Tensor& embedding, const at::Tensor& targets,
                                const at::Tensor& predictions) {
  const c10::NoGradGuard no_gradient;
  const auto there = checked(targets, hidden, embedding);
  const auto rows = flat(as_rows(hidden));
  Sums sums(rows, embedding);
  for_each_chunk(rows, embedding, [&](std::int64_t first, const at::Tensor&, const at::Tensor& logits) {
    with_type(logits, [&]<class T>(T) {
      sums.run<T>(logits, {.logits = data<T>(logits),
                           .targets = there.data_ptr<std::int64_t>() + first,
                           .predictions = predictions.data_ptr<std::int64_t>() + first,
                           .rows = logits.size(0),
                           .vocabulary = logits.size(1),
                           .logits_stride = logits.size(1)});
    });
  });
  return sums.wait();
}

}  // namespace starling::operators
