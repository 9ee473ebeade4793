// Cross-entropy of rows of logits, with its gradient in the same pass:
//   loss_r = log Σ_v exp(x_rv) − x_r,target,  dx_rv = gradient_scale · (softmax(x_r)_v − [v = target])
// Rows whose target is ignored_target have loss 0 and gradient 0. Row sums run in the compute type, the sum over rows in double.
// A row with a NaN or +inf among its logits has loss NaN (divergence stays visible). One thread per call. float,
// double and bfloat16 (exponentials and losses in float, the gradient rounded once).
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

inline constexpr std::int64_t ignored_target = -100;

struct CrossEntropySums {
  double loss = 0;           ///< Σ of the losses of the counted rows
  std::int64_t count = 0;    ///< rows whose target is not ignored_target
  std::int64_t correct = 0;  ///< counted rows whose largest logit (the first of equals) is the target
};

/// logits, dlogits: (rows, vocabulary), rows `*_stride` elements apart; dlogits null for no gradient, may be logits
/// (same stride). targets: (rows), each in [0, vocabulary) or ignored_target. losses: (rows) or null. predictions:
/// (rows), the argmax, or null. sums: written.
template <class T>
struct CrossEntropy {
  const T* logits = nullptr;
  const std::int64_t* targets = nullptr;
  T* dlogits = nullptr;
  Compute<T>* losses = nullptr;
  std::int64_t* predictions = nullptr;
  CrossEntropySums* sums = nullptr;
  std::int64_t rows = 0;
  std::int64_t vocabulary = 0;
  std::int64_t logits_stride = 0;
  std::int64_t dlogits_stride = 0;
  Compute<T> gradient_scale = Compute<T>(1);
};

template <Level level, class T>
void execute(const CrossEntropy<T>& arguments);

template <class T>
CrossEntropySums cross_entropy(CrossEntropy<T> arguments) {
  CrossEntropySums sums;
  arguments.sums = &sums;
  dispatch(arguments);
  return sums;
}

/// Rows whose target is not ignored_target; 1 / this is the gradient_scale of a mean.
std::int64_t counted_targets(const std::int64_t* targets, std::int64_t rows);

}  // namespace starling::kernels
