#include <starling/kernels/linear_attention.hpp>

#include <starling/kernels/elementary.hpp>
#include <starling/kernels/matrix_scan.hpp>

namespace starling::kernels {
namespace {

/// φ(x) = elu(x) + 1.
template <class T>
[[gnu::always_inline]] inline Pack<T> feature(Pack<T> x) {
  return select<T>(x > Pack<T>{}, x + T(1), exponential<T>(x));
}

/// φ'(x) from φ(x), which is above 1 where the slope is 1 and else the slope itself.
template <class T>
[[gnu::always_inline]] inline Pack<T> feature_slope(Pack<T> feature) {
  return select<T>(feature > splat(T(1)), splat(T(1)), feature);
}

template <class T>
void pack_features(const T* row, std::int64_t width, Compute<T>* to, std::int64_t columns) {
  pack_row(
      row, width, to, columns, [](Pack<T> x) __attribute__((always_inline)) { return feature<Compute<T>>(x); });
}

template <class T>
void pack_scaled(const T* row, std::int64_t width, Compute<T>* to, std::int64_t columns, Compute<T> factor) {
  pack_row(
      row, width, to, columns, [factor](Pack<T> x) __attribute__((always_inline)) { return x * factor; });
}

template <class T>
void store_scaled(const Compute<T>* row, std::int64_t width, T* to, Compute<T> factor) {
  for (std::int64_t i = 0; i < width; i += lanes<T>) store(to + i, load(row + i, width - i) * factor, width - i);
}

template <class T>
void add_row(T* sum, const T* row, std::int64_t width) {
  for (std::int64_t i = 0; i < width; i += lanes<T>) {
    const std::int64_t n = width - i;
    store(sum + i, load(sum + i, n) + load(row + i, n), n);
  }
}

template <class T>
Compute<T> dot(const T* a, const T* b, std::int64_t width) {
  Pack<T> total{};
  for (std::int64_t i = 0; i < width; i += lanes<T>) total = load(a + i, width - i) * load(b + i, width - i) + total;
  return sum<Compute<T>>(total);
}

/// One head of the backward pass.
template <class T>
struct Head {
  Rows<const Compute<T>*> q;  // φ(q), of whole packs
  Rows<const Compute<T>*> k;  // φ(k)
  Rows<const T*> v;
  Rows<const T*> y;
  Rows<const T*> dy;
  Rows<T*> dq;
  Rows<T*> dk;
  Rows<T*> dv;
  const Compute<T>* inverse_norm;
  Compute<T>* norm_gradient;  // c_t, per token
  Compute<T>* key_sum;        // z, then w
  std::int64_t length;
};

/// φ' ⊙ (out + factor · sum), the gradient of a row of q or k.
template <class T>
void write_gradient(const Compute<T>* features, const Compute<T>* out, const Compute<T>* sums, Compute<T> factor, std::int64_t width,
                    T* gradient) {
  for (std::int64_t i = 0; i < width; i += lanes<T>) {
    const std::int64_t n = width - i;
    store(gradient + i, feature_slope<Compute<T>>(load(features + i, n)) * (load(out + i, n) + load(sums + i, n) * factor), n);
  }
}

/// dq, with the state turned: rows are value channels.
template <class T>
void query_gradient(const Head<T>& head, MatrixScan<Compute<T>>& scan) {
  clear_state(scan, head.v.width, head.k.width);
  __builtin_memset(head.key_sum, 0, static_cast<std::size_t>(head.k.width) * sizeof(Compute<T>));
  for (std::int64_t begin = 0; begin < head.length; begin += matrix_scan_chunk) {
    const std::int64_t count = smaller(matrix_scan_chunk, head.length - begin);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = begin + i;
      prefetch(head.v, t + prefetch_distance, head.length);
      prefetch(head.dy, t + prefetch_distance, head.length);
      prefetch(head.y, t + prefetch_distance, head.length);
      pack_row(head.v[t], head.v.width, scan.left + i * scan.rows, scan.rows);
      pack_scaled(head.dy[t], head.dy.width, scan.reader + i * scan.rows, scan.rows, head.inverse_norm[t]);
      pack_row(head.k[t], head.k.width, scan.right + i * scan.columns, scan.columns);
      head.norm_gradient[t] = -dot(head.dy[t], head.y[t], head.y.width) * head.inverse_norm[t];
    }
    advance<StateDecay::none>(scan, count);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = begin + i;
      add_row(head.key_sum, scan.right + i * scan.columns, head.k.width);
      write_gradient(head.q[t], scan.out + i * scan.columns, head.key_sum, head.norm_gradient[t], head.q.width, head.dq[t]);
    }
  }
}

/// dv, from the last token.
template <class T>
void value_gradient(const Head<T>& head, MatrixScan<Compute<T>>& scan) {
  clear_state(scan, head.k.width, head.v.width);
  for (std::int64_t end = head.length; end > 0; end -= matrix_scan_chunk) {
    const std::int64_t count = smaller(matrix_scan_chunk, end);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = end - 1 - i;
      pack_row(head.q[t], head.q.width, scan.left + i * scan.rows, scan.rows);
      pack_row(head.k[t], head.k.width, scan.reader + i * scan.rows, scan.rows);
      pack_scaled(head.dy[t], head.dy.width, scan.right + i * scan.columns, scan.columns, head.inverse_norm[t]);
    }
    advance<StateDecay::none>(scan, count);
    for (std::int64_t i = 0; i < count; ++i) {
      T* row = head.dv[end - 1 - i];
      for (std::int64_t x = 0; x < head.v.width; x += lanes<T>) store(row + x, load(scan.out + i * scan.columns + x), head.v.width - x);
    }
  }
}

/// dk, from the last token, with the state turned.
template <class T>
void key_gradient(const Head<T>& head, MatrixScan<Compute<T>>& scan) {
  clear_state(scan, head.v.width, head.k.width);
  __builtin_memset(head.key_sum, 0, static_cast<std::size_t>(head.k.width) * sizeof(Compute<T>));
  for (std::int64_t end = head.length; end > 0; end -= matrix_scan_chunk) {
    const std::int64_t count = smaller(matrix_scan_chunk, end);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = end - 1 - i;
      pack_scaled(head.dy[t], head.dy.width, scan.left + i * scan.rows, scan.rows, head.inverse_norm[t]);
      pack_row(head.v[t], head.v.width, scan.reader + i * scan.rows, scan.rows);
      pack_row(head.q[t], head.q.width, scan.right + i * scan.columns, scan.columns);
    }
    advance<StateDecay::none>(scan, count);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = end - 1 - i;
      const Compute<T>* q = scan.right + i * scan.columns;
      for (std::int64_t x = 0; x < head.k.width; x += lanes<T>) {
        const std::int64_t n = head.k.width - x;
        store(head.key_sum + x, load(q + x, n) * head.norm_gradient[t] + load(head.key_sum + x, n), n);
      }
      write_gradient(head.k[t], scan.out + i * scan.columns, head.key_sum, Compute<T>(1), head.k.width, head.dk[t]);
    }
  }
}

}  // namespace

template <Level level, class T>
void execute(const LinearAttentionForward<T>& a) {
  using C = Compute<T>;
  C* key_sum = nullptr;
  auto scan = make_panels<C>(a.key_width, a.value_width, a.key_width + matrix_scan_chunk, &key_sum);
  C* inverse_norm = key_sum + a.key_width;
  for (std::int64_t batch = 0; batch < a.batch; ++batch)
    for (std::int64_t head = 0; head < a.heads; ++head) {
      const auto q = rows_of(a.q, a.q_strides, batch, head, a.key_width);
      const auto k = rows_of(a.k, a.k_strides, batch, head, a.key_width);
      const auto v = rows_of(a.v, a.v_strides, batch, head, a.value_width);
      const auto y = rows_of(a.y, a.y_strides, batch, head, a.value_width);
      const std::int64_t of_head = batch * a.heads + head;
      clear_state(scan, a.key_width, a.value_width);
      if (a.initial_state) load_state(scan, a.initial_state + of_head * a.key_width * a.value_width, a.value_width);
      for (std::int64_t i = 0; i < a.key_width; ++i) key_sum[i] = a.initial_key_sum ? a.initial_key_sum[of_head * a.key_width + i] : C(0);
      for (std::int64_t begin = 0; begin < a.length; begin += matrix_scan_chunk) {
        const std::int64_t count = smaller(matrix_scan_chunk, a.length - begin);
        for (std::int64_t i = 0; i < count; ++i) {
          prefetch(q, begin + i + prefetch_distance, a.length);
          prefetch(k, begin + i + prefetch_distance, a.length);
          prefetch(v, begin + i + prefetch_distance, a.length);
          C* key = scan.left + i * scan.rows;
          C* query = scan.reader + i * scan.rows;
          pack_features(k[begin + i], a.key_width, key, scan.rows);
          pack_features(q[begin + i], a.key_width, query, scan.rows);
          pack_row(v[begin + i], a.value_width, scan.right + i * scan.columns, scan.columns);
          add_row(key_sum, key, a.key_width);
          inverse_norm[i] = C(1) / dot(query, key_sum, a.key_width);
          if (a.inverse_norm) a.inverse_norm[of_head * a.length + begin + i] = inverse_norm[i];
        }
        advance<StateDecay::none>(scan, count);
        for (std::int64_t i = 0; i < count; ++i) store_scaled(scan.out + i * scan.columns, a.value_width, y[begin + i], inverse_norm[i]);
      }
      if (a.final_state) store_state(scan, a.final_state + of_head * a.key_width * a.value_width, a.value_width);
      if (a.final_key_sum)
        for (std::int64_t i = 0; i < a.key_width; ++i) a.final_key_sum[of_head * a.key_width + i] = key_sum[i];
    }
}

template <Level level, class T>
void execute(const LinearAttentionBackward<T>& a) {
  using C = Compute<T>;
  C* key_sum = nullptr;
  // Every feature is met three times or more, and an exponential costs as much as ten products.
  const std::int64_t stride = padded<C>(a.key_width);
  auto scan = make_panels<C>(a.key_width, a.value_width, stride + a.length * (2 * stride + 1), &key_sum);
  C* query_features = key_sum + stride;
  C* key_features = query_features + a.length * stride;
  for (std::int64_t batch = 0; batch < a.batch; ++batch)
    for (std::int64_t head = 0; head < a.heads; ++head) {
      const auto q = rows_of(a.q, a.q_strides, batch, head, a.key_width);
      const auto k = rows_of(a.k, a.k_strides, batch, head, a.key_width);
      for (std::int64_t t = 0; t < a.length; ++t) {
        prefetch(q, t + prefetch_distance, a.length);
        prefetch(k, t + prefetch_distance, a.length);
        pack_features(q[t], a.key_width, query_features + t * stride, stride);
        pack_features(k[t], a.key_width, key_features + t * stride, stride);
      }
      const Head<T> arrays{.q = {query_features, stride, a.key_width},
                           .k = {key_features, stride, a.key_width},
                           .v = rows_of(a.v, a.v_strides, batch, head, a.value_width),
                           .y = rows_of(a.y, a.y_strides, batch, head, a.value_width),
                           .dy = rows_of(a.dy, a.dy_strides, batch, head, a.value_width),
                           .dq = rows_of(a.dq, a.dq_strides, batch, head, a.key_width),
                           .dk = rows_of(a.dk, a.dk_strides, batch, head, a.key_width),
                           .dv = rows_of(a.dv, a.dv_strides, batch, head, a.value_width),
                           .inverse_norm = a.inverse_norm + (batch * a.heads + head) * a.length,
                           .norm_gradient = key_features + a.length * stride,
                           .key_sum = key_sum,
                           .length = a.length};
      query_gradient(arrays, scan);
      value_gradient(arrays, scan);
      key_gradient(arrays, scan);
    }
}

template void execute<here>(const LinearAttentionForward<float>&);
template void execute<here>(const LinearAttentionForward<double>&);
template void execute<here>(const LinearAttentionForward<bfloat16>&);
template void execute<here>(const LinearAttentionBackward<float>&);
template void execute<here>(const LinearAttentionBackward<double>&);
template void execute<here>(const LinearAttentionBackward<bfloat16>&);

}  // namespace starling::kernels
