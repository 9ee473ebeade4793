#include <starling/kernels/attention.hpp>

#include <starling/kernels/attention_tiles.hpp>

#include <cassert>

namespace starling::kernels {
namespace {

constexpr std::int64_t query_tile = 48;  // a multiple of the register block's 12 rows
constexpr std::int64_t key_tile = 128;
constexpr std::int64_t strip = 12;  // rows of a tile on the diagonal that share their last key
constexpr std::int64_t few_queries = 3;

template <class T>
constexpr T minus_infinity = T(-__builtin_inf());

/// Running sums of the queries of a tile.
template <class T>
struct Running {
  T* scores;   // (query_tile, key_tile), become weights: of softmax 2^(score − highest), scores in units of log 2
  T* out;      // (query_tile, padded value width), unnormalised
  T* highest;  // (query_tile), of softmax
  T* total;    // (query_tile, lanes): Σ of the weights, lane by lane
};

/// Turns one row of raw scores into weights, and scales what the row has summed so far to the new maximum.
template <class T>
void absorb_scores(const Running<T>& run, std::int64_t row, std::int64_t columns, T scale, bool whole, std::int64_t first,
                   std::int64_t past, std::int64_t value_columns) {
  T* scores = run.scores + row * key_tile;
  const PackBits<T> numbers = lane_numbers<T>();
  Pack<T> top = splat(minus_infinity<T>);
  for (std::int64_t j = 0; j < columns; j += lanes<T>) {
    Pack<T> s = load(scores + j) * scale;
    if (!whole) s = select<T>(visible_lanes<T>(numbers, j, first, past), s, splat(minus_infinity<T>));
    store(scores + j, s);
    top = maximum<T>(s, top);
  }
  const T old = run.highest[row];
  const T tile_top = largest<T>(top);
  const T now = tile_top > old ? tile_top : old;
  if (now == minus_infinity<T>) {  // nothing seen yet: weights are 0, and −∞ − −∞ must not make them NaN
    bool nan = false;
    for (std::int64_t j = 0; j < columns; ++j) nan |= scores[j] != scores[j];
    if (!nan) {
      for (std::int64_t j = 0; j < columns; ++j) scores[j] = T(0);
      return;
    }
  }
  Pack<T> sum_now{};
  for (std::int64_t j = 0; j < columns; j += lanes<T>) {
    const Pack<T> weight = exp2_bounded<T>(load(scores + j) - now);
    store(scores + j, weight);
    sum_now += weight;
  }
  T* total = run.total + row * lanes<T>;
  if (now != old) {
    const T shrink = exp2_bounded<T>(splat(old - now))[0];
    store(total, load(total) * shrink + sum_now);
    T* out = run.out + row * value_columns;
    for (std::int64_t i = 0; i < value_columns; i += lanes<T>) store(out + i, load(out + i) * shrink);
  } else {
    store(total, load(total) + sum_now);
  }
  run.highest[row] = now;
}

/// The same for scores that pass a pointwise nonlinearity.
template <Gate activation, class T>
void activate_scores(const Running<T>& run, std::int64_t row, std::int64_t columns, T scale, bool whole, std::int64_t first,
                     std::int64_t past) {
  T* scores = run.scores + row * key_tile;
  const PackBits<T> numbers = lane_numbers<T>();
  Pack<T> sum_now{};
  for (std::int64_t j = 0; j < columns; j += lanes<T>) {
    Pack<T> weight = activate<activation, T>(load(scores + j) * scale).value;
    if (!whole) weight = select<T>(visible_lanes<T>(numbers, j, first, past), weight, Pack<T>{});
    store(scores + j, weight);
    sum_now += weight;
  }
  T* total = run.total + row * lanes<T>;
  store(total, load(total) + sum_now);
}

template <class T>
struct PackedHead {
  T* keys;    // transposed by tiles
  T* values;  // (keys, padded value width)
};

/// Queries [q0, q1) of one head against all their keys.
template <class T>
void attend_tile(const AttentionForward<T>& a, const Visibility& sight, const PackedHead<Compute<T>>& head, const Running<Compute<T>>& run,
                 const Compute<T>* q, std::int64_t q_stride, std::int64_t q0, std::int64_t q1) {
  using C = Compute<T>;
  const std::int64_t value_columns = padded<T>(a.value_width);
  for (std::int64_t i = 0; i < q1 - q0; ++i) run.highest[i] = minus_infinity<C>;
  __builtin_memset(run.total, 0, static_cast<std::size_t>(query_tile * pack_bytes));
  __builtin_memset(run.out, 0, static_cast<std::size_t>(query_tile * value_columns) * sizeof(C));
  const std::int64_t begin = sight.first(q0) / key_tile * key_tile;
  for (std::int64_t k0 = begin; k0 < sight.past(q1 - 1); k0 += key_tile) {
    const std::int64_t k1 = smaller(k0 + key_tile, a.keys);
    const bool whole = k1 == k0 + key_tile && sight.all(q0, q1, k0, k1);
    const std::int64_t height = whole ? query_tile : strip;
    for (std::int64_t r0 = q0; r0 < q1; r0 += height) {
      const std::int64_t r1 = smaller(r0 + height, q1);
      if (!sight.any(r0, r1, k0, k1)) continue;
      const std::int64_t depth = smaller(sight.past(r1 - 1), k1) - k0;
      const std::int64_t columns = padded<T>(depth);
      const std::int64_t row = r0 - q0;
      C* scores = run.scores + row * key_tile;
      tile_product<false>(TileProduct<C>{q + row * q_stride, q_stride, 1, head.keys + k0 * a.key_width, key_tile, scores, key_tile, r1 - r0,
                                         columns, a.key_width});
      for (std::int64_t i = r0; i < r1; ++i) {
        const std::int64_t first = sight.first(i) - k0;
        const std::int64_t past = sight.past(i) - k0;
        if (a.score == AttentionScore::softmax) {
          absorb_scores(run, i - q0, columns, a.scale * C(log2_of_e), whole, first, past, value_columns);
        } else {
          with_activation(a.score, [&](auto f) { activate_scores<f.value>(run, i - q0, columns, a.scale, whole, first, past); });
        }
      }
      tile_product<true>(TileProduct<C>{scores, key_tile, 1, head.values + k0 * value_columns, value_columns, run.out + row * value_columns,
                                        value_columns, r1 - r0, value_columns, depth});
    }
  }
}

template <class T>
void finish_tile(const AttentionForward<T>& a, const Visibility& sight, const Running<Compute<T>>& run, std::int64_t q0, std::int64_t rows,
                 T* out, Compute<T>* normaliser) {
  using C = Compute<T>;
  const std::int64_t value_columns = padded<T>(a.value_width);
  for (std::int64_t i = 0; i < rows; ++i) {
    const C total = sum<C>(load(run.total + i * lanes<T>));
    const C inverse = C(1) / (is_pointwise(a.score) ? C(sight.past(q0 + i) - sight.first(q0 + i)) : total);
    for (std::int64_t x = 0; x < a.value_width; x += lanes<T>)
      store(out + i * a.out_strides.token + x, load(run.out + i * value_columns + x) * inverse, a.value_width - x);
    if (!normaliser) continue;
    normaliser[i] = a.score == AttentionScore::softmax
                        ? run.highest[i] * C(ln_of_2) + static_cast<C>(__builtin_log(static_cast<double>(total)))
                        : inverse;
  }
}

template <class T>
void many_queries(const AttentionForward<T>& a) {
  using C = Compute<T>;
  constexpr bool widens = sizeof(C) != sizeof(T);
  const Visibility sight = Visibility::of(a);
  const std::int64_t value_columns = padded<T>(a.value_width);
  const std::int64_t keys = rounded_up(a.keys, key_tile);
  const std::int64_t key_columns = padded<T>(a.key_width);
  Arena<C> arena(keys * (a.key_width + value_columns) + query_tile * (key_tile + value_columns + lanes<T>)+padded<T>(query_tile) +
                 (widens ? query_tile * key_columns : 0));
  const PackedHead<C> head{arena.take(keys * a.key_width), arena.take(keys * value_columns)};
  const Running<C> run{arena.take(query_tile * key_tile), arena.take(query_tile * value_columns), arena.take(query_tile),
                       arena.take(query_tile * lanes<T>)};
  [[maybe_unused]] C* const wide_queries = widens ? arena.take(query_tile * key_columns) : nullptr;
  const std::int64_t key_group = a.heads / a.key_heads;
  const std::int64_t value_group = a.heads / a.value_heads;
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      if (h % key_group == 0)
        pack_transposed(a.k + batch * a.k_strides.batch + h / key_group * a.k_strides.head, a.k_strides.token, a.keys, a.key_width,
                        key_tile, head.keys);
      if (h % value_group == 0)
        pack_rows(a.v + batch * a.v_strides.batch + h / value_group * a.v_strides.head, a.v_strides.token, a.keys, a.value_width,
                  head.values);
      const T* q = a.q + batch * a.q_strides.batch + h * a.q_strides.head;
      T* out = a.out + batch * a.out_strides.batch + h * a.out_strides.head;
      C* normaliser = a.normaliser ? a.normaliser + (batch * a.heads + h) * a.queries : nullptr;
      for (std::int64_t q0 = 0; q0 < a.queries; q0 += query_tile) {
        const std::int64_t q1 = smaller(q0 + query_tile, a.queries);
        const T* queries = q + q0 * a.q_strides.token;
        if constexpr (widens) {
          pack_rows(queries, a.q_strides.token, q1 - q0, a.key_width, wide_queries);
          attend_tile(a, sight, head, run, wide_queries, key_columns, q0, q1);
        } else {
          attend_tile(a, sight, head, run, queries, a.q_strides.token, q0, q1);
        }
        finish_tile(a, sight, run, q0, q1 - q0, out + q0 * a.out_strides.token, normaliser ? normaliser + q0 : nullptr);
      }
    }
  }
}

/// Scores of one query become exp(score − top); their sum.
template <class T>
T softmax_weights(T* scores, std::int64_t seen, T top) {
  Pack<T> totals{};
  for (std::int64_t j = 0; j < seen; j += lanes<T>) {
    const std::int64_t n = seen - j;
    Pack<T> weight = exponential<T>(load(scores + j, n) - top);
    if (n < lanes<T>) weight = select<T>(visible_lanes<T>(lane_numbers<T>(), 0, 0, n), weight, Pack<T>{});
    store(scores + j, weight, n);
    totals += weight;
  }
  return sum<T>(totals);
}

/// Scores of one query pass the nonlinearity; what they are divided by. All nonlinearities leave 0, which stands behind the last
/// score, as it is.
template <class T>
T activated_weights(AttentionScore score, T* scores, std::int64_t seen) {
  Pack<T> totals{};
  with_activation(score, [&](auto f) {
    for (std::int64_t j = 0; j < seen; j += lanes<T>) {
      const std::int64_t n = seen - j;
      const Pack<T> weight = activate<f.value, T>(load(scores + j, n)).value;
      store(scores + j, weight, n);
      totals += weight;
    }
  });
  return is_pointwise(score) ? T(seen) : sum<T>(totals);
}

/// One query: keys and values are read once, in place; packing them would cost more than the work.
template <class T>
void one_query(const AttentionForward<T>& a, const T* q, const T* k, const T* v, T* out, Compute<T>* normaliser, std::int64_t first,
               std::int64_t past, Compute<T>* scores) {
  using C = Compute<T>;
  const std::int64_t seen = past - first;
  C top = minus_infinity<C>;
  for (std::int64_t j = 0; j < seen; ++j) {
    const T* key = k + (first + j) * a.k_strides.token;
    Pack<T> dot{};
    for (std::int64_t i = 0; i < a.key_width; i += lanes<T>) dot = load(q + i, a.key_width - i) * load(key + i, a.key_width - i) + dot;
    scores[j] = sum<C>(dot) * a.scale;
    top = scores[j] > top ? scores[j] : top;
  }
  const C total = a.score == AttentionScore::softmax ? softmax_weights(scores, seen, top) : activated_weights(a.score, scores, seen);
  for (std::int64_t i = 0; i < a.value_width; i += lanes<T>) {
    const std::int64_t n = a.value_width - i;
    Pack<T> even{};
    Pack<T> odd{};
    const T* value = v + first * a.v_strides.token + i;
    std::int64_t j = 0;
    for (; j + 2 <= seen; j += 2) {
      even = load(value + j * a.v_strides.token, n) * scores[j] + even;
      odd = load(value + (j + 1) * a.v_strides.token, n) * scores[j + 1] + odd;
    }
    if (j < seen) even = load(value + j * a.v_strides.token, n) * scores[j] + even;
    store(out + i, (even + odd) / total, n);
  }
  if (!normaliser) return;
  *normaliser = a.score == AttentionScore::softmax ? top + static_cast<C>(__builtin_log(static_cast<double>(total))) : C(1) / total;
}

template <class T>
void queries_one_by_one(const AttentionForward<T>& a) {
  const Visibility sight = Visibility::of(a);
  Arena<Compute<T>> arena(padded<T>(a.keys));
  Compute<T>* scores = arena.take(a.keys);
  for (std::int64_t batch = 0; batch < a.batch; ++batch)
    for (std::int64_t h = 0; h < a.heads; ++h)
      for (std::int64_t i = 0; i < a.queries; ++i)
        one_query(a, a.q + batch * a.q_strides.batch + h * a.q_strides.head + i * a.q_strides.token,
                  a.k + batch * a.k_strides.batch + h / (a.heads / a.key_heads) * a.k_strides.head,
                  a.v + batch * a.v_strides.batch + h / (a.heads / a.value_heads) * a.v_strides.head,
                  a.out + batch * a.out_strides.batch + h * a.out_strides.head + i * a.out_strides.token,
                  a.normaliser ? a.normaliser + (batch * a.heads + h) * a.queries + i : nullptr, sight.first(i), sight.past(i), scores);
}

}  // namespace

template <Level level, class T>
void execute(const AttentionForward<T>& a) {
  assert(a.keys >= a.queries && a.heads % a.key_heads == 0 && a.heads % a.value_heads == 0 && (a.window == 0 || a.block == 0));
  if (a.queries <= few_queries) return queries_one_by_one(a);
  many_queries(a);
}

template void execute<here>(const AttentionForward<float>&);
template void execute<here>(const AttentionForward<double>&);
template void execute<here>(const AttentionForward<bfloat16>&);

}  // namespace starling::kernels
