// What the bindings of kernels to autograd share: element type, views as the kernels want them, products of
// neighbouring matrices.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <starling/kernels/bfloat16.hpp>

namespace starling::operators {

using Tensors = std::vector<at::Tensor>;

/// `tensor` where its last dimension is contiguous and all the others advance in one step (slices of a wider row do);
/// else a contiguous copy.
at::Tensor as_rows(const at::Tensor& tensor);
/// Elements between two rows of an as_rows tensor.
std::int64_t row_stride(const at::Tensor& rows);
std::int64_t row_count(const at::Tensor& rows);
/// (rows, channels) view of an as_rows tensor.
at::Tensor flat(const at::Tensor& rows);

/// Uninitialised (batch, length, channels[i]) slices of one buffer, side by side, of x's type.
Tensors side_by_side(const at::Tensor& like, std::int64_t batch, std::int64_t length, const std::vector<std::int64_t>& channels);

/// Whether `right` begins where the rows of `left` end, or `lower` where the last row of `upper` ends, so that two
/// matrices are one in memory.
bool continues_across(const at::Tensor& left, const at::Tensor& right);
bool continues_below(const at::Tensor& upper, const at::Tensor& lower);
/// matrices[first, last) as one view; they must continue each other.
at::Tensor joined_across(const Tensors& matrices, std::size_t first, std::size_t last);
at::Tensor joined_below(const Tensors& matrices, std::size_t first, std::size_t last);

/// Calls f(T{}) with T = float or double; std::invalid_argument for any other element type.
[[noreturn]] void refuse_type(at::ScalarType type);
template <class F>
void with_exact_type(const at::Tensor& tensor, F&& f) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return f(float{});
    case at::kDouble:
      return f(double{});
    default:
      refuse_type(tensor.scalar_type());
  }
}
/// The same with T = kernels::bfloat16 too, which activations may have.
template <class F>
void with_type(const at::Tensor& tensor, F&& f) {
  if (tensor.scalar_type() == at::kBFloat16) return f(kernels::bfloat16{});
  with_exact_type(tensor, f);
}

/// The data of a tensor that may be undefined (null).
template <class T>
T* data(const at::Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  if constexpr (std::is_same_v<T, kernels::bfloat16>)
    return reinterpret_cast<T*>(tensor.data_ptr<at::BFloat16>());
  else
    return tensor.data_ptr<T>();
}

/// What operators over bfloat16 keep, sum and count decays by is float: the type and options of such a tensor beside `like`.
inline at::ScalarType exact_type(const at::Tensor& like) { return like.scalar_type() == at::kBFloat16 ? at::kFloat : like.scalar_type(); }
inline at::TensorOptions exact_options(const at::Tensor& like) { return like.options().dtype(exact_type(like)); }
/// `tensor` itself, or where it is bfloat16 in float.
inline at::Tensor exact(const at::Tensor& tensor) { return tensor.to(exact_type(tensor)); }

}  // namespace starling::operators
