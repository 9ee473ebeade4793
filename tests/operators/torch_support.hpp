// Random tensors, conversions and central differences for the tests above the kernels.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include <starling/base/random.hpp>

#include "matrix.hpp"

namespace starling::reference {

/// Normal values from the stream, in double.
at::Tensor random_tensor(const std::vector<std::int64_t>& shape, Stream& stream, double sigma = 1.0);

/// A tensor as a matrix (one dimension: one row; more than two: blocks below each other), and back.
Matrix to_matrix(const at::Tensor& tensor);
at::Tensor to_tensor(const Matrix& matrix);

/// The largest |a − b|; +inf where one of them is not finite or sizes differ.
double largest_difference(const at::Tensor& a, const at::Tensor& b);

struct GradientError {
  double largest = 0;  ///< |analytic − numeric| / max(1, |numeric|)
  std::int64_t compared = 0;
};
/// Compares the gradients that autograd gives for the leaves of a scalar function with central differences; of every
/// tensor at most `elements_per_tensor` evenly spread elements.
GradientError check_gradients(const std::function<at::Tensor()>& scalar, const std::vector<at::Tensor>& leaves,
                              std::int64_t elements_per_tensor = 1 << 20);

}  // namespace starling::reference
