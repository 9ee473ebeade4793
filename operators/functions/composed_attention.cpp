#include <starling/operators/functions/composed_attention.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include <starling/operators/functions/recomputation.hpp>
#include <starling/operators/functions/tensors.hpp>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)
#define STARLING_HAS_FUSED_ATTENTION 1
#include <ATen/ops/scaled_dot_product_attention.h>
#else
#define STARLING_HAS_FUSED_ATTENTION 0
#endif

namespace starling::operators {
namespace {

using kernels::AttentionScore;

double scale_of(const at::Tensor& q, const Heads& heads) { return 1.0 / std::sqrt(static_cast<double>(q.size(2) / heads.query)); }

/// (batch, tokens, there · width) → (batch, heads, tokens, width), each repeated for the query heads that read it.
at::Tensor by_head(const at::Tensor& x, std::int64_t there, std::int64_t heads) {
  const auto width = x.size(2) / there;
  auto apart = x.reshape({x.size(0), x.size(1), there, width});
  if (there < heads) {
    const auto readers = heads / there;
    apart = apart.unsqueeze(3).expand({x.size(0), x.size(1), there, readers, width}).reshape({x.size(0), x.size(1), heads, width});
  }
  return apart.transpose(1, 2);
}

/// (queries, keys): which keys query i does not see, which stands at key first + i.
at::Tensor unseen(const at::Tensor& like, std::int64_t first, std::int64_t queries, std::int64_t keys, const Sight& sight) {
  const auto options = like.options().dtype(at::kLong).requires_grad(false);
  const auto query = at::arange(first, first + queries, options).unsqueeze(1);
  const auto key = at::arange(keys, options).unsqueeze(0);
  auto hidden = key.gt(query);
  if (sight.window > 0) hidden = hidden.logical_or(key.le(query - sight.window));
  if (sight.block > 0) hidden = hidden.logical_or(key.lt(query.div(sight.block, "floor") * sight.block));
  return hidden;
}

/// The weights of scores (batch, heads, queries, keys), 0 where `hidden`.
at::Tensor weights_of(const at::Tensor& scores, const at::Tensor& hidden, AttentionScore kind) {
  if (kind == AttentionScore::softmax) return scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1);
  // All that follows is 0 at 0.
  const auto seen = scores.masked_fill(hidden, 0.0);
  const auto count = [&] { return hidden.logical_not().sum(-1, /*keepdim=*/true).to(seen.scalar_type()); };
  switch (kind) {
    case AttentionScore::relu:
      return at::relu(seen) / count();
    case AttentionScore::silu:
      return at::silu(seen) / count();
    case AttentionScore::gelu:
      return at::gelu(seen) / count();
    case AttentionScore::linear:
    case AttentionScore::softmax:
      break;
  }
  // Queries that only fill up a piece have no scores but 0, and their NaN would reach the gradients of all.
  const auto sums = seen.sum(-1, /*keepdim=*/true);
  return seen / sums.masked_fill(sums.eq(0), 1.0);
}

/// All of a chunk of queries at once; query 0 stands at key `first`.
at::Tensor plain(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores,
                 std::int64_t first) {
  const auto products = at::matmul(by_head(q, heads.query, heads.query), by_head(k, heads.key, heads.query).transpose(2, 3));
  const auto weights = weights_of(exact(products) * scale_of(q, heads), unseen(q, first, q.size(1), k.size(1), scores.sight), scores.kind);
  return at::matmul(weights.to(v.scalar_type()), by_head(v, heads.value, heads.query)).transpose(1, 2).flatten(2);
}

at::Tensor in_chunks(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores,
                     std::int64_t chunk_elements) {
  const auto queries = q.size(1);
  const auto offset = k.size(1) - queries;
  const auto chunk = std::clamp<std::int64_t>(chunk_elements / (q.size(0) * heads.query * k.size(1)), 1, queries);
  const bool has_gradient = c10::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < queries; begin += chunk) {
    const auto count = std::min(chunk, queries - begin);
    const auto end_key = offset + begin + count;
    // Keys that no query of the chunk sees stay out; with blocks they do not, as the first key begins a block.
    const auto begin_key = scores.sight.window > 0 ? std::max<std::int64_t>(0, offset + begin + 1 - scores.sight.window) : 0;
    const auto first = offset + begin - begin_key;
    const Tensors inputs{q.narrow(1, begin, count), k.narrow(1, begin_key, end_key - begin_key),
                         v.narrow(1, begin_key, end_key - begin_key)};
    const auto piece = [heads, scores, first](const Tensors& in) { return Tensors{plain(in[0], in[1], in[2], heads, scores, first)}; };
    parts.push_back(has_gradient ? recomputed(piece, inputs)[0] : piece(inputs)[0]);
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

#if STARLING_HAS_FUSED_ATTENTION

/// As kernels that move 16 bytes at once want it.
at::Tensor aligned(const at::Tensor& x) {
  constexpr std::uintptr_t bytes = 16;
  bool fits = x.stride(3) == 1 && reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % bytes == 0;
  for (std::int64_t i = 0; i < 3; ++i) fits = fits && static_cast<std::uintptr_t>(x.stride(i)) * x.element_size() % bytes == 0;
  return fits ? x : x.contiguous();
}

/// Sequences that the fused forms take at once: no more than a grid has blocks in one direction, nor than 2^31 elements of queries, whose
/// number is rounded up to 128 and width to 32.
std::int64_t most_at_once(const at::Tensor& q, const at::Tensor& v, const Heads& heads) {
  const auto width = std::max<std::int64_t>({32, q.size(2) / heads.query, v.size(2) / heads.value});
  const auto elements = heads.query * ((q.size(1) + 127) / 128 * 128) * width;
  return std::clamp<std::int64_t>((std::int64_t{1} << 31) / elements, 1, 65'535);
}

at::Tensor fused(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Sight& sight) {
  if (const auto most = most_at_once(q, v, heads); q.size(0) > most) {
    Tensors parts;
    for (std::int64_t first = 0; first < q.size(0); first += most) {
      const auto count = std::min(most, q.size(0) - first);
      parts.push_back(fused(q.narrow(0, first, count), k.narrow(0, first, count), v.narrow(0, first, count), heads, sight));
    }
    return at::cat(parts, 0);
  }
  auto queries = by_head(q, heads.query, heads.query);
  auto keys = by_head(k, heads.key, heads.query);
  auto values = by_head(v, heads.value, heads.query);
  // The fastest forms want heads of one width. Zeros change no product.
  const auto key_width = queries.size(3);
  const auto value_width = values.size(3);
  const auto width = std::max(key_width, value_width);
  if (key_width < width) {
    queries = at::constant_pad_nd(queries, {0, width - key_width});
    keys = at::constant_pad_nd(keys, {0, width - key_width});
  }
  if (value_width < width) values = at::constant_pad_nd(values, {0, width - value_width});
  const bool causal = sight.limit() == 0 && q.size(1) == k.size(1);
  const bool sees_all = sight.limit() == 0 && q.size(1) == 1;
  std::optional<at::Tensor> seen;
  if (!causal && !sees_all) seen = unseen(q, k.size(1) - q.size(1), q.size(1), k.size(1), sight).logical_not();
  const auto y = at::scaled_dot_product_attention(aligned(queries), aligned(keys), aligned(values), seen, /*dropout_p=*/0.0, causal,
                                                  scale_of(q, heads));
  return y.narrow(3, 0, value_width).transpose(1, 2).flatten(2);
}

#endif

/// A piece in which no cut would leave anything out.
at::Tensor whole(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores,
                 AttentionForm form, std::int64_t chunk_elements) {
#if STARLING_HAS_FUSED_ATTENTION
  if (form == AttentionForm::fused) return fused(q, k, v, heads, scores.sight);
#else
  if (form == AttentionForm::fused) throw std::invalid_argument("this LibTorch has no fused attention");
#endif
  return in_chunks(q, k, v, heads, scores, chunk_elements);
}

}  // namespace

bool has_fused_attention() { return STARLING_HAS_FUSED_ATTENTION != 0; }

at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Heads& heads, const Scores& scores,
                              AttentionForm form, std::int64_t chunk_elements) {
  const auto length = q.size(1);
  const auto limit = scores.sight.limit();
  if (length != k.size(1)) return whole(q, k, v, heads, scores, form, chunk_elements);
  auto all = scores;
  all.sight = {};
  if (limit == 0 || limit >= length) return whole(q, k, v, heads, all, form, chunk_elements);

  const auto batch = q.size(0);
  const auto count = (length + limit - 1) / limit;
  const auto cut = [&](const at::Tensor& x) { return blocks_of(x, limit).reshape({batch, count, limit, x.size(2)}); };
  if (scores.sight.block > 0) {
    const auto y = whole(cut(q).flatten(0, 1), cut(k).flatten(0, 1), cut(v).flatten(0, 1), heads, all, form, chunk_elements);
    return joined_blocks(y, batch, length);
  }
  // A token of a band's second piece sees tokens of it and of the piece before.
  const auto later = [&](const at::Tensor& x) { return cut(x).narrow(1, 1, count - 1); };
  const auto with_earlier = [&](const at::Tensor& x) { return at::cat({cut(x).narrow(1, 0, count - 1), later(x)}, 2).flatten(0, 1); };
  const auto first = [&](const at::Tensor& x) { return x.narrow(1, 0, limit); };
  const auto y = whole(later(q).flatten(0, 1), with_earlier(k), with_earlier(v), heads, scores, form, chunk_elements);
  return at::cat(
             {whole(first(q), first(k), first(v), heads, all, form, chunk_elements), y.reshape({batch, (count - 1) * limit, y.size(2)})}, 1)
      .narrow(1, 0, length);
}

}  // namespace starling::operators
