#include <starling/operators/functions/tensors.hpp>

#include <ATen/ops/as_strided.h>
#include <ATen/ops/empty.h>

#include <numeric>
#include <stdexcept>
#include <string>

namespace starling::operators {
namespace {

// The one distance between neighbouring rows, or −1 where there is none (a row that overlaps the next, an expanded
// gradient, has none either).
std::int64_t uniform_row_stride(const at::Tensor& tensor) {
  const auto last = tensor.dim() - 1;
  const auto channels = tensor.size(last);
  if (tensor.stride(last) != 1 && channels > 1) return -1;
  std::int64_t stride = -1;
  std::int64_t expected = 0;
  for (auto i = last - 1; i >= 0; --i) {
    if (tensor.size(i) == 1) continue;
    if (stride < 0) {
      stride = tensor.stride(i);
      if (stride < channels) return -1;
    } else if (tensor.stride(i) != expected) {
      return -1;
    }
    expected = tensor.stride(i) * tensor.size(i);
  }
  return stride < 0 ? channels : stride;
}

}  // namespace

at::Tensor as_rows(const at::Tensor& tensor) { return uniform_row_stride(tensor) < 0 ? tensor.contiguous() : tensor; }

std::int64_t row_count(const at::Tensor& rows) {
  const auto channels = rows.size(rows.dim() - 1);
  return channels == 0 ? 0 : rows.numel() / channels;
}

std::int64_t row_stride(const at::Tensor& rows) { return uniform_row_stride(rows); }

at::Tensor flat(const at::Tensor& rows) {
  return at::as_strided(rows, {row_count(rows), rows.size(rows.dim() - 1)}, {row_stride(rows), 1});
}

Tensors side_by_side(const at::Tensor& like, std::int64_t batch, std::int64_t length, const std::vector<std::int64_t>& channels) {
  const auto total = std::accumulate(channels.begin(), channels.end(), std::int64_t{0});
  const auto buffer = at::empty({batch, length, total}, like.options());
  Tensors slices;
  slices.reserve(channels.size());
  std::int64_t offset = 0;
  for (const auto count : channels) {
    slices.push_back(at::as_strided(buffer, {batch, length, count}, {length * total, total, 1}, offset));
    offset += count;
  }
  return slices;
}

bool continues_across(const at::Tensor& left, const at::Tensor& right) {
  return left.size(0) == right.size(0) && left.stride(0) == right.stride(0) && left.storage().is_alias_of(right.storage()) &&
         left.storage_offset() + left.size(1) == right.storage_offset();
}

bool continues_below(const at::Tensor& upper, const at::Tensor& lower) {
  return upper.size(1) == lower.size(1) && upper.is_contiguous() && lower.is_contiguous() && upper.storage().is_alias_of(lower.storage()) &&
         upper.storage_offset() + upper.numel() == lower.storage_offset();
}

at::Tensor joined_across(const Tensors& matrices, std::size_t first, std::size_t last) {
  if (last - first == 1) return matrices[first];
  std::int64_t columns = 0;
  for (auto i = first; i < last; ++i) columns += matrices[i].size(1);
  return at::as_strided(matrices[first], {matrices[first].size(0), columns}, {matrices[first].stride(0), 1});
}

at::Tensor joined_below(const Tensors& matrices, std::size_t first, std::size_t last) {
  if (last - first == 1) return matrices[first];
  std::int64_t rows = 0;
  for (auto i = first; i < last; ++i) rows += matrices[i].size(0);
  return at::as_strided(matrices[first], {rows, matrices[first].size(1)}, {matrices[first].size(1), 1});
}

void refuse_type(at::ScalarType type) {
  throw std::invalid_argument(std::string("operators compute in float, double and bfloat16, not in ") + c10::toString(type));
}

}  // namespace starling::operators
