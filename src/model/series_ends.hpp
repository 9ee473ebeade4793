// How a series enters and leaves a model, in place of the embedding: x_t = W_in s_t + b_in, ŝ_{t+1} = a ⊙ s_t + W_out h_t + b_out, in f32
// (f64) also where the rest of the model computes in bfloat16: a prediction is compared with the values themselves.
//
// a, one number for each column, is 1 at the start: what a model learns is the change. RMSNorm leaves directions only, in which a value that
// drifts, as most series do, is told from its neighbours worse the farther it goes; without a, the models of a random walk (200,000 rows,
// 6 LIVs of width 64) were twenty times worse than its last value.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include <starling/operators/tensor_spec.hpp>

namespace starling::model {

struct SeriesEnds {
  at::Tensor input_weight;  ///< (width, channels); undefined where tokens enter
  at::Tensor input_bias;    ///< (width)
  at::Tensor output_weight;
  at::Tensor output_bias;
  at::Tensor output_skip;  ///< a (channels)

  bool defined() const { return input_weight.defined(); }
  /// values (batch, length, channels) of any floating type → (batch, length, width).
  at::Tensor enter(const at::Tensor& values) const;
  /// hidden (…, width) and the values (…, channels) that entered at the same places → predictions (…, channels).
  at::Tensor leave(const at::Tensor& hidden, const at::Tensor& values) const;
};

/// W_in and b_in are drawn with Glorot's σ of W_in: without b_in RMSNorm would leave nothing of the size of a single column but its sign, and
/// with a much smaller one little more. W_out starts as small as an embedding does and b_out at 0, so that the first predictions are nearly
/// the last value.
operators::TensorSpec input_weight_spec(std::int64_t channels, std::int64_t width);
operators::TensorSpec input_bias_spec(std::int64_t channels, std::int64_t width);
operators::TensorSpec output_weight_spec(std::int64_t channels, std::int64_t width, double sigma);
operators::TensorSpec output_bias_spec(std::int64_t channels);
operators::TensorSpec output_skip_spec(std::int64_t channels);

/// Mean of (prediction − target)² over the targets that are not NaN, 0 where there is none; differentiable in the predictions. `counted`: how many
/// there are in the batch of which these are a part, where they are not all.
at::Tensor mean_squared_error(const at::Tensor& predictions, const at::Tensor& targets, std::int64_t counted = -1);

struct SquaredErrors {
  double sum = 0;
  std::int64_t count = 0;
};
/// The sums behind it, in double, without gradient.
SquaredErrors squared_errors(const at::Tensor& predictions, const at::Tensor& targets);

}  // namespace starling::model
