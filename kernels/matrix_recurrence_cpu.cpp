#include <starling/kernels/matrix_recurrence.hpp>

#include <starling/kernels/elementary.hpp>
#include <starling/kernels/matrix_scan.hpp>

#include <cassert>

namespace starling::kernels {
namespace {

/// One of the four recurrences of the two passes: which rows are written into the state, which read it, which way time runs.
template <class T>
struct Pass {
  Rows<const T*> left;
  Rows<const T*> reader;
  Rows<const T*> right;
  Rows<const Compute<T>*> log_decay;
  std::int64_t length = 0;
  bool reverse = false;

  std::int64_t token(std::int64_t step) const { return reverse ? length - 1 - step : step; }
};

template <StateDecay decay, class T>
void pack_chunk(const Pass<T>& pass, const MatrixScan<Compute<T>>& scan, std::int64_t begin, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t token = pass.token(begin + i);
    const std::int64_t soon = pass.token(begin + i + prefetch_distance);
    for (const auto* rows : {&pass.left, &pass.reader, &pass.right}) prefetch(*rows, soon, pass.length);
    pack_row(pass.left[token], pass.left.width, scan.left + i * scan.rows, scan.rows);
    pack_row(pass.reader[token], pass.reader.width, scan.reader + i * scan.rows, scan.rows);
    pack_row(pass.right[token], pass.right.width, scan.right + i * scan.columns, scan.columns);
    if constexpr (decay != StateDecay::none) {
      // Backwards in time the state has passed the decay of the token behind it; the first one finds it zero.
      const std::int64_t passed = pass.reverse ? smaller(token + 1, pass.length - 1) : token;
      const std::int64_t columns = decay == StateDecay::scalar ? 1 : decay == StateDecay::rows ? scan.rows : scan.columns;
      pack_row(pass.log_decay[passed], pass.log_decay.width, scan.decay + i * columns, columns);
    }
  }
  if constexpr (decay != StateDecay::none) {
    const std::int64_t numbers = count * (decay == StateDecay::scalar ? 1 : decay == StateDecay::rows ? scan.rows : scan.columns);
    for (std::int64_t i = 0; i < numbers; i += lanes<T>) {
      const std::int64_t n = numbers - i;
      store(scan.decay + i, exponential<Compute<T>>(load(scan.decay + i, n)), n);
    }
  }
}

/// emit(token, out): what becomes of the row that a token reads, which is written once, in the order of the pass.
template <StateDecay decay, class T, class Emit>
void run(const Pass<T>& pass, const MatrixScan<Compute<T>>& scan, Emit emit) {
  for (std::int64_t begin = 0; begin < pass.length; begin += matrix_scan_chunk) {
    const std::int64_t count = smaller(matrix_scan_chunk, pass.length - begin);
    pack_chunk<decay>(pass, scan, begin, count);
    advance<decay>(scan, count);
    for (std::int64_t i = 0; i < count; ++i) emit(pass.token(begin + i), scan.out + i * scan.columns);
  }
}

/// `turned`: the state's rows are value channels, its columns key channels.
template <class T, class Emit>
void run(MatrixDecay decay, bool turned, const Pass<T>& pass, const MatrixScan<Compute<T>>& scan, Emit emit) {
  switch (decay) {
    case MatrixDecay::none:
      return run<StateDecay::none>(pass, scan, emit);
    case MatrixDecay::per_head:
      return run<StateDecay::scalar>(pass, scan, emit);
    case MatrixDecay::per_channel:
      return turned ? run<StateDecay::columns>(pass, scan, emit) : run<StateDecay::rows>(pass, scan, emit);
  }
}

template <class T>
void write_row(const Compute<T>* out, std::int64_t width, T* row) {
  for (std::int64_t x = 0; x < width; x += lanes<T>) store(row + x, load(out + x), width - x);
}

/// dlog_decay of one head, out of rows of dq and dk before they are rounded. q ⊙ dq and k ⊙ dk are large and alike where the
/// state forgets: they are subtracted channel by channel, before any sum.
template <class T>
struct DecayGradient {
  using C = Compute<T>;
  Rows<const T*> q;
  Rows<const T*> k;
  Rows<C*> gradient;
  C* products;  // (length, key_width), q ⊙ dq
  C* totals;    // (key_width), the sums over later tokens
  bool per_channel;

  void of_query(std::int64_t token, const C* dq) const {
    for (std::int64_t i = 0; i < q.width; i += lanes<T>) {
      const std::int64_t n = q.width - i;
      store(products + token * q.width + i, load(q[token] + i, n) * load(dq + i, n), n);
    }
  }

  /// From the last token.
  void of_key(std::int64_t token, const C* dk) const {
    Pack<T> sums{};
    for (std::int64_t i = 0; i < k.width; i += lanes<T>) {
      const std::int64_t n = k.width - i;
      const Pack<T> difference = load(products + token * k.width + i, n) - load(k[token] + i, n) * load(dk + i, n);
      if (!per_channel) {
        sums += difference;
        continue;
      }
      const Pack<T> total = load(totals + i, n) + difference;
      store(totals + i, total, n);
      store(gradient[token] + i, total, n);
    }
    if (!per_channel) *gradient[token] = totals[0] += sum<C>(sums);
  }
};

}  // namespace

template <Level level, class T>
void execute(const MatrixRecurrenceForward<T>& a) {
  assert(a.decay == MatrixDecay::none || a.log_decay);
  auto scan = make_panels<Compute<T>>(a.key_width, a.value_width);
  const std::int64_t decay_width = a.decay == MatrixDecay::per_channel ? a.key_width : 1;
  for (std::int64_t batch = 0; batch < a.batch; ++batch)
    for (std::int64_t head = 0; head < a.heads; ++head) {
      clear_state(scan, a.key_width, a.value_width);
      const std::int64_t of_head = (batch * a.heads + head) * a.key_width * a.value_width;
      if (a.initial) load_state(scan, a.initial + of_head, a.value_width);
      const auto y = rows_of(a.y, a.y_strides, batch, head, a.value_width);
      run(a.decay, false,
          Pass<T>{.left = rows_of(a.k, a.k_strides, batch, head, a.key_width),
                  .reader = rows_of(a.q, a.q_strides, batch, head, a.key_width),
                  .right = rows_of(a.v, a.v_strides, batch, head, a.value_width),
                  .log_decay = rows_of(a.log_decay, a.log_decay_strides, batch, head, decay_width),
                  .length = a.length},
          scan, [&](std::int64_t token, const Compute<T>* out) { write_row(out, a.value_width, y[token]); });
      if (a.final) store_state(scan, a.final + of_head, a.value_width);
    }
}

template <Level level, class T>
void execute(const MatrixRecurrenceBackward<T>& a) {
  assert(a.decay == MatrixDecay::none || (a.log_decay && a.dlog_decay));
  using C = Compute<T>;
  const bool decays = a.decay != MatrixDecay::none;
  C* totals = nullptr;
  auto scan = make_panels<C>(a.key_width, a.value_width, decays ? (a.length + 1) * a.key_width : 0, &totals);
  const std::int64_t decay_width = a.decay == MatrixDecay::per_channel ? a.key_width : 1;
  for (std::int64_t batch = 0; batch < a.batch; ++batch)
    for (std::int64_t head = 0; head < a.heads; ++head) {
      const auto q = rows_of(a.q, a.q_strides, batch, head, a.key_width);
      const auto k = rows_of(a.k, a.k_strides, batch, head, a.key_width);
      const auto v = rows_of(a.v, a.v_strides, batch, head, a.value_width);
      const auto dy = rows_of(a.dy, a.dy_strides, batch, head, a.value_width);
      const auto log_decay = rows_of(a.log_decay, a.log_decay_strides, batch, head, decay_width);
      const auto dq = rows_of(a.dq, a.dq_strides, batch, head, a.key_width);
      const auto dk = rows_of(a.dk, a.dk_strides, batch, head, a.key_width);
      const auto dv = rows_of(a.dv, a.dv_strides, batch, head, a.value_width);
      const DecayGradient<T> of_decay{.q = q,
                                      .k = k,
                                      .gradient = rows_of(a.dlog_decay, a.dlog_decay_strides, batch, head, decay_width),
                                      .products = totals + a.key_width,
                                      .totals = totals,
                                      .per_channel = a.decay == MatrixDecay::per_channel};
      for (std::int64_t i = 0; decays && i < a.key_width; ++i) totals[i] = C(0);

      clear_state(scan, a.value_width, a.key_width);
      const std::int64_t of_head = (batch * a.heads + head) * a.key_width * a.value_width;
      for (std::int64_t i = 0; a.initial && i < a.key_width; ++i)
        for (std::int64_t j = 0; j < a.value_width; ++j) scan.state[j * scan.columns + i] = a.initial[of_head + i * a.value_width + j];
      run(a.decay, true, Pass<T>{v, dy, k, log_decay, a.length, false}, scan, [&](std::int64_t token, const C* out) {
        write_row(out, a.key_width, dq[token]);
        if (decays) of_decay.of_query(token, out);
      });

      clear_state(scan, a.key_width, a.value_width);
      run(a.decay, false, Pass<T>{q, k, dy, log_decay, a.length, true}, scan,
          [&](std::int64_t token, const C* out) { write_row(out, a.value_width, dv[token]); });

      clear_state(scan, a.value_width, a.key_width);
      run(a.decay, true, Pass<T>{dy, v, q, log_decay, a.length, true}, scan, [&](std::int64_t token, const C* out) {
        write_row(out, a.key_width, dk[token]);
        if (decays) of_decay.of_key(token, out);
      });
    }
}

template void execute<here>(const MatrixRecurrenceForward<float>&);
template void execute<here>(const MatrixRecurrenceForward<double>&);
template void execute<here>(const MatrixRecurrenceForward<bfloat16>&);
template void execute<here>(const MatrixRecurrenceBackward<float>&);
template void execute<here>(const MatrixRecurrenceBackward<double>&);
template void execute<here>(const MatrixRecurrenceBackward<bfloat16>&);

}  // namespace starling::kernels
