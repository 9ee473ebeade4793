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
  Rows<const T*> log_decay;
  Rows<T*> out;
  std::int64_t length = 0;
  bool reverse = false;

  std::int64_t token(std::int64_t step) const { return reverse ? length - 1 - step : step; }
};

template <StateDecay decay, class T>
void pack_chunk(const Pass<T>& pass, const MatrixScan<T>& scan, std::int64_t begin, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t token = pass.token(begin + i);
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
      store(scan.decay + i, exponential<T>(load(scan.decay + i, n)), n);
    }
  }
}

template <StateDecay decay, class T>
void run(const Pass<T>& pass, const MatrixScan<T>& scan) {
  for (std::int64_t begin = 0; begin < pass.length; begin += matrix_scan_chunk) {
    const std::int64_t count = smaller(matrix_scan_chunk, pass.length - begin);
    pack_chunk<decay>(pass, scan, begin, count);
    advance<decay>(scan, count);
    for (std::int64_t i = 0; i < count; ++i) {
      T* row = pass.out[pass.token(begin + i)];
      for (std::int64_t x = 0; x < pass.out.width; x += lanes<T>) store(row + x, load(scan.out + i * scan.columns + x), pass.out.width - x);
    }
  }
}

/// `turned`: the state's rows are value channels, its columns key channels.
template <class T>
void run(MatrixDecay decay, bool turned, const Pass<T>& pass, const MatrixScan<T>& scan) {
  switch (decay) {
    case MatrixDecay::none:
      return run<StateDecay::none>(pass, scan);
    case MatrixDecay::per_head:
      return run<StateDecay::scalar>(pass, scan);
    case MatrixDecay::per_channel:
      return turned ? run<StateDecay::columns>(pass, scan) : run<StateDecay::rows>(pass, scan);
  }
}

/// dlog_decay of one head from what has been written: the reverse sum of q ⊙ dq − k ⊙ dk.
template <class T>
void decay_gradient(const MatrixRecurrenceBackward<T>& a, std::int64_t batch, std::int64_t head, T* totals) {
  const bool per_channel = a.decay == MatrixDecay::per_channel;
  for (std::int64_t i = 0; i < a.key_width; ++i) totals[i] = T(0);
  for (std::int64_t t = a.length - 1; t >= 0; --t) {
    const T* q = a.q + a.q_strides.at(batch, head) + t * a.q_strides.token;
    const T* k = a.k + a.k_strides.at(batch, head) + t * a.k_strides.token;
    const T* dq = a.dq + a.dq_strides.at(batch, head) + t * a.dq_strides.token;
    const T* dk = a.dk + a.dk_strides.at(batch, head) + t * a.dk_strides.token;
    T* gradient = a.dlog_decay + a.dlog_decay_strides.at(batch, head) + t * a.dlog_decay_strides.token;
    Pack<T> sums{};
    for (std::int64_t i = 0; i < a.key_width; i += lanes<T>) {
      const std::int64_t n = a.key_width - i;
      const Pack<T> difference = load(q + i, n) * load(dq + i, n) - load(k + i, n) * load(dk + i, n);
      if (!per_channel) {
        sums += difference;
        continue;
      }
      const Pack<T> total = load(totals + i, n) + difference;
      store(totals + i, total, n);
      store(gradient + i, total, n);
    }
    if (!per_channel) *gradient = totals[0] += sum<T>(sums);
  }
}

}  // namespace

template <Level level, class T>
void execute(const MatrixRecurrenceForward<T>& a) {
  assert(a.decay == MatrixDecay::none || a.log_decay);
  auto scan = make_panels<T>(a.key_width, a.value_width);
  const std::int64_t decay_width = a.decay == MatrixDecay::per_channel ? a.key_width : 1;
  for (std::int64_t batch = 0; batch < a.batch; ++batch)
    for (std::int64_t head = 0; head < a.heads; ++head) {
      clear_state(scan, a.key_width, a.value_width);
      const std::int64_t of_head = (batch * a.heads + head) * a.key_width * a.value_width;
      if (a.initial) load_state(scan, a.initial + of_head, a.value_width);
      run(a.decay, false,
          Pass<T>{.left = rows_of(a.k, a.k_strides, batch, head, a.key_width),
                  .reader = rows_of(a.q, a.q_strides, batch, head, a.key_width),
                  .right = rows_of(a.v, a.v_strides, batch, head, a.value_width),
                  .log_decay = rows_of(a.log_decay, a.log_decay_strides, batch, head, decay_width),
                  .out = rows_of(a.y, a.y_strides, batch, head, a.value_width),
                  .length = a.length},
          scan);
      if (a.final) store_state(scan, a.final + of_head, a.value_width);
    }
}

template <Level level, class T>
void execute(const MatrixRecurrenceBackward<T>& a) {
  assert(a.decay == MatrixDecay::none || (a.log_decay && a.dlog_decay));
  auto scan = make_panels<T>(a.key_width, a.value_width);
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

      clear_state(scan, a.value_width, a.key_width);
      const std::int64_t of_head = (batch * a.heads + head) * a.key_width * a.value_width;
      for (std::int64_t i = 0; a.initial && i < a.key_width; ++i)
        for (std::int64_t j = 0; j < a.value_width; ++j) scan.state[j * scan.columns + i] = a.initial[of_head + i * a.value_width + j];
      run(a.decay, true, Pass<T>{v, dy, k, log_decay, dq, a.length, false}, scan);

      clear_state(scan, a.key_width, a.value_width);
      run(a.decay, false, Pass<T>{q, k, dy, log_decay, dv, a.length, true}, scan);

      clear_state(scan, a.value_width, a.key_width);
      run(a.decay, true, Pass<T>{dy, v, q, log_decay, dk, a.length, true}, scan);

      if (a.decay != MatrixDecay::none) decay_gradient(a, batch, head, scan.out);
    }
}

template void execute<here>(const MatrixRecurrenceForward<float>&);
template void execute<here>(const MatrixRecurrenceForward<double>&);
template void execute<here>(const MatrixRecurrenceBackward<float>&);
template void execute<here>(const MatrixRecurrenceBackward<double>&);

}  // namespace starling::kernels
