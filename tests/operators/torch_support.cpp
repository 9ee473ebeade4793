#include "torch_support.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace starling::reference {

at::Tensor random_tensor(const std::vector<std::int64_t>& shape, Stream& stream, double sigma) {
  auto tensor = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  auto* const values = tensor.data_ptr<double>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = sigma * stream.normal();
  return tensor;
}

Matrix to_matrix(const at::Tensor& tensor) {
  const auto source = tensor.detach().to(at::kDouble).contiguous();
  const auto columns = source.size(-1);
  Matrix matrix(static_cast<std::size_t>(source.numel() / columns), static_cast<std::size_t>(columns));
  std::copy_n(source.data_ptr<double>(), source.numel(), matrix.values.begin());
  return matrix;
}

at::Tensor to_tensor(const Matrix& matrix) {
  auto tensor = at::empty({static_cast<std::int64_t>(matrix.rows), static_cast<std::int64_t>(matrix.columns)},
                          at::TensorOptions().dtype(at::kDouble));
  std::copy(matrix.values.begin(), matrix.values.end(), tensor.data_ptr<double>());
  return tensor;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  const auto difference = (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs();
  if (!(at::isfinite(difference).all().item<bool>())) return std::numeric_limits<double>::infinity();
  return difference.numel() == 0 ? 0.0 : difference.max().item<double>();
}

GradientError check_gradients(const std::function<at::Tensor()>& scalar, const std::vector<at::Tensor>& leaves,
                              std::int64_t elements_per_tensor) {
  for (const auto& leaf : leaves) leaf.mutable_grad() = at::Tensor();
  scalar().backward();
  GradientError error;
  const c10::NoGradGuard no_gradient;
  constexpr double step = 1e-5;
  for (const auto& leaf : leaves) {
    const auto gradient = leaf.grad().defined() ? leaf.grad().contiguous() : at::Tensor();
    auto* const values = leaf.data_ptr<double>();
    const auto stride = std::max<std::int64_t>(1, leaf.numel() / elements_per_tensor);
    for (std::int64_t i = 0; i < leaf.numel(); i += stride) {
      const double kept = values[i];
      const double analytic = gradient.defined() ? gradient.data_ptr<double>()[i] : 0.0;
      const auto span = [&](double distance) {
        values[i] = kept + distance;
        const double above = scalar().item<double>();
        values[i] = kept - distance;
        const double below = scalar().item<double>();
        values[i] = kept;
        return above - below;
      };
      const auto difference_from = [&](double numeric) { return std::abs(analytic - numeric) / std::max(1.0, std::abs(numeric)); };
      const double near = span(step);
      double difference = difference_from(near / (2 * step));
      // Where the function bends so much that step² shows, the rule of fourth order.
      if (difference > 1e-8) difference = difference_from((8 * near - span(2 * step)) / (12 * step));
      // A ReLU may have its kink between the points: then closer ones stand on one side of it.
      if (difference > 1e-5) difference = difference_from(span(step / 100) / (2 * step / 100));
      error.largest = std::isfinite(difference) ? std::max(error.largest, difference) : std::numeric_limits<double>::infinity();
      ++error.compared;
    }
  }
  return error;
}

}  // namespace starling::reference
