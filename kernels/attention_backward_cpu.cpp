#include <starling/kernels/attention.hpp>

#include <starling/kernels/attention_tiles.hpp>

#include <cassert>

namespace starling::kernels {
namespace {

constexpr std::int64_t query_tile = 48;
constexpr std::int64_t key_tile = 64;
constexpr std::int64_t strip = 12;

/// Packed operands and sums of one head. Rows are padded to whole packs.
template <class T>
struct Head {
  T* q;         // (queries, key columns)
  T* dout;      // (queries, value columns)
  T* k;         // (keys, key columns)
  T* k_turned;  // transposed by tiles
  T* v_turned;  // transposed by tiles
  T* dq;        // (queries, key columns)
  T* dk;        // (keys, key columns), summed over the heads of a group
  T* dv;        // (keys, value columns), summed over the heads of a group
  T* mean;      // (queries): D = dout · out
  const T* normaliser;
};

/// scores → P and dP → dS, in place, for one row.
template <class T>
void softmax_gradient(T* scores, T* gradient, std::int64_t columns, T scale, T log_sum_exp, T mean, bool whole, std::int64_t first,
                      std::int64_t past) {
  const PackBits<T> numbers = lane_numbers<T>();
  const T to_log2 = scale * T(log2_of_e);
  const T normaliser = log_sum_exp * T(log2_of_e);
  for (std::int64_t j = 0; j < columns; j += lanes<T>) {
    Pack<T> p = exp2_bounded<T>(load(scores + j) * to_log2 - normaliser);
    Pack<T> ds = p * (load(gradient + j) - mean) * scale;
    if (!whole) {
      const PackBits<T> visible = visible_lanes<T>(numbers, j, first, past);
      p = select<T>(visible, p, Pack<T>{});
      ds = select<T>(visible, ds, Pack<T>{});
    }
    store(scores + j, p);
    store(gradient + j, ds);
  }
}

/// The same for scores that pass a pointwise nonlinearity and are multiplied by `factor`.
template <Gate activation, class T>
void activation_gradient(T* scores, T* gradient, std::int64_t columns, T scale, T factor, T mean, bool whole, std::int64_t first,
                         std::int64_t past) {
  const PackBits<T> numbers = lane_numbers<T>();
  for (std::int64_t j = 0; j < columns; j += lanes<T>) {
    const Activated<T> weight = activate<activation, T>(load(scores + j) * scale);
    Pack<T> p = weight.value * factor;
    Pack<T> ds = weight.slope * (load(gradient + j) - mean) * (factor * scale);
    if (!whole) {
      const PackBits<T> visible = visible_lanes<T>(numbers, j, first, past);
      p = select<T>(visible, p, Pack<T>{});
      ds = select<T>(visible, ds, Pack<T>{});
    }
    store(scores + j, p);
    store(gradient + j, ds);
  }
}

/// Adds what the keys [k0, k0 + key_tile) and all queries that see them contribute.
template <class T>
void key_tile_gradients(const AttentionBackward<T>& a, const Visibility& sight, const Head<Compute<T>>& head, std::int64_t k0,
                        Compute<T>* scores, Compute<T>* gradient) {
  using C = Compute<T>;
  const std::int64_t key_columns = padded<T>(a.key_width);
  const std::int64_t value_columns = padded<T>(a.value_width);
  const std::int64_t k1 = smaller(k0 + key_tile, a.keys);
  const std::int64_t begin = larger(k0 - sight.offset, 0) / query_tile * query_tile;
  for (std::int64_t q0 = begin; q0 < a.queries; q0 += query_tile) {
    if (sight.first(q0) >= k1) break;
    const std::int64_t q1 = smaller(q0 + query_tile, a.queries);
    const bool whole = k1 == k0 + key_tile && sight.all(q0, q1, k0, k1);
    const std::int64_t height = whole ? query_tile : strip;
    for (std::int64_t r0 = q0; r0 < q1; r0 += height) {
      const std::int64_t r1 = smaller(r0 + height, q1);
      if (!sight.any(r0, r1, k0, k1)) continue;
      const std::int64_t rows = r1 - r0;
      const std::int64_t seen = smaller(sight.past(r1 - 1), k1) - k0;
      const std::int64_t columns = padded<T>(seen);
      tile_product<false>(TileProduct<C>{head.q + r0 * key_columns, key_columns, 1, head.k_turned + k0 * a.key_width, key_tile, scores,
                                         key_tile, rows, columns, a.key_width});
      tile_product<false>(TileProduct<C>{head.dout + r0 * value_columns, value_columns, 1, head.v_turned + k0 * a.value_width, key_tile,
                                         gradient, key_tile, rows, columns, a.value_width});
      for (std::int64_t i = r0; i < r1; ++i) {
        C* of_row = scores + (i - r0) * key_tile;
        C* gradient_of_row = gradient + (i - r0) * key_tile;
        const std::int64_t first = sight.first(i) - k0;
        const std::int64_t past = sight.past(i) - k0;
        if (a.score == AttentionScore::softmax) {
          softmax_gradient(of_row, gradient_of_row, columns, a.scale, head.normaliser[i], head.mean[i], whole, first, past);
          continue;
        }
        const bool pointwise = is_pointwise(a.score);
        const C factor = pointwise ? C(1) / C(past - first) : head.normaliser[i];
        const C mean = pointwise ? C(0) : head.mean[i];
        with_activation(a.score, [&](auto f) {
          activation_gradient<f.value>(of_row, gradient_of_row, columns, a.scale, factor, mean, whole, first, past);
        });
      }
      tile_product<true>(TileProduct<C>{scores, 1, key_tile, head.dout + r0 * value_columns, value_columns, head.dv + k0 * value_columns,
                                        value_columns, seen, value_columns, rows});
      tile_product<true>(TileProduct<C>{gradient, 1, key_tile, head.q + r0 * key_columns, key_columns, head.dk + k0 * key_columns,
                                        key_columns, seen, key_columns, rows});
      tile_product<true>(TileProduct<C>{gradient, key_tile, 1, head.k + k0 * key_columns, key_columns, head.dq + r0 * key_columns,
                                        key_columns, rows, key_columns, seen});
    }
  }
}

template <class T>
void output_means(const AttentionBackward<T>& a, const T* out, const T* dout, Compute<T>* mean) {
  for (std::int64_t i = 0; i < a.queries; ++i) {
    Pack<T> dot{};
    for (std::int64_t x = 0; x < a.value_width; x += lanes<T>) {
      const std::int64_t n = a.value_width - x;
      dot = load(out + i * a.out_strides.token + x, n) * load(dout + i * a.dout_strides.token + x, n) + dot;
    }
    mean[i] = sum<Compute<T>>(dot);
  }
}

template <class T>
void clear(T* numbers, std::int64_t count) {
  __builtin_memset(numbers, 0, static_cast<std::size_t>(count) * sizeof(T));
}

template <class T>
const T* of(const T* base, const HeadStrides& strides, std::int64_t batch, std::int64_t head) {
  return base + batch * strides.batch + head * strides.head;
}
template <class T>
T* of(T* base, const HeadStrides& strides, std::int64_t batch, std::int64_t head) {
  return base + batch * strides.batch + head * strides.head;
}

}  // namespace

template <Level level, class T>
void execute(const AttentionBackward<T>& a) {
  using C = Compute<T>;
  assert(a.keys >= a.queries && a.heads % a.key_heads == 0 && a.heads % a.value_heads == 0);
  const Visibility sight = Visibility::of(a);
  const std::int64_t key_columns = padded<T>(a.key_width);
  const std::int64_t value_columns = padded<T>(a.value_width);
  const std::int64_t keys = rounded_up(a.keys, key_tile);
  Arena<C> arena(a.queries * (2 * key_columns + value_columns) + padded<T>(a.queries) +
                 keys * (2 * key_columns + a.key_width + a.value_width + value_columns) + 2 * query_tile * key_tile);
  Head<C> head{.q = arena.take(a.queries * key_columns),
               .dout = arena.take(a.queries * value_columns),
               .k = arena.take(keys * key_columns),
               .k_turned = arena.take(keys * a.key_width),
               .v_turned = arena.take(keys * a.value_width),
               .dq = arena.take(a.queries * key_columns),
               .dk = arena.take(keys * key_columns),
               .dv = arena.take(keys * value_columns),
               .mean = arena.take(a.queries),
               .normaliser = nullptr};
  C* scores = arena.take(query_tile * key_tile);
  C* gradient = arena.take(query_tile * key_tile);
  const std::int64_t key_group = a.heads / a.key_heads;
  const std::int64_t value_group = a.heads / a.value_heads;
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      if (h % key_group == 0) {
        const T* k = of(a.k, a.k_strides, batch, h / key_group);
        pack_rows(k, a.k_strides.token, a.keys, a.key_width, head.k);
        pack_transposed(k, a.k_strides.token, a.keys, a.key_width, key_tile, head.k_turned);
        clear(head.dk, keys * key_columns);
      }
      if (h % value_group == 0) {
        pack_transposed(of(a.v, a.v_strides, batch, h / value_group), a.v_strides.token, a.keys, a.value_width, key_tile, head.v_turned);
        clear(head.dv, keys * value_columns);
      }
      const T* dout = of(a.dout, a.dout_strides, batch, h);
      pack_rows(of(a.q, a.q_strides, batch, h), a.q_strides.token, a.queries, a.key_width, head.q);
      pack_rows(dout, a.dout_strides.token, a.queries, a.value_width, head.dout);
      output_means(a, of(a.out, a.out_strides, batch, h), dout, head.mean);
      clear(head.dq, a.queries * key_columns);
      head.normaliser = a.normaliser + (batch * a.heads + h) * a.queries;
      for (std::int64_t k0 = 0; k0 < a.keys; k0 += key_tile) key_tile_gradients(a, sight, head, k0, scores, gradient);
      unpack_rows(head.dq, a.queries, a.key_width, of(a.dq, a.dq_strides, batch, h), a.dq_strides.token);
      if ((h + 1) % key_group == 0)
        unpack_rows(head.dk, a.keys, a.key_width, of(a.dk, a.dk_strides, batch, h / key_group), a.dk_strides.token);
      if ((h + 1) % value_group == 0)
        unpack_rows(head.dv, a.keys, a.value_width, of(a.dv, a.dv_strides, batch, h / value_group), a.dv_strides.token);
    }
  }
}

template void execute<here>(const AttentionBackward<float>&);
template void execute<here>(const AttentionBackward<double>&);
template void execute<here>(const AttentionBackward<bfloat16>&);

}  // namespace starling::kernels
