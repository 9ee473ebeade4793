#include <starling/kernels/gated_scan.hpp>

#include <starling/kernels/scan_blocks.hpp>
#include <starling/kernels/scratch.hpp>

namespace starling::kernels {
namespace {

constexpr std::int64_t chunk_size = gated_scan_chunk;

/// One chunk of one sequence, and of it one block of channels.
struct Place {
  std::int64_t first;   // token, counted over all sequences
  std::int64_t tokens;  // of the chunk
  std::int64_t c;
  std::int64_t channels;  // from c on
};

template <class T>
using Rows = ChunkRows<Compute<T>>;

/// Decays of one block over one chunk, [t · states + n]: without a chain from token to token their latencies overlap.
template <int fixed, class T, class Arguments>
void decays(const Arguments& a, const Place& at, Pack<T>* decay) {
  const std::int64_t states = state_count<fixed>(a.states);
  for (std::int64_t n = 0; n < states; ++n) {
    const std::int64_t c = n * a.width + at.c;
    const Pack<T> bias = load(a.bias + c, at.channels);
    for (std::int64_t t = 0; t < at.tokens; ++t)
      decay[t * states + n] = sigmoid<Compute<T>>(load(a.gate + (at.first + t) * a.gate_stride + c, at.channels) + bias);
  }
}

template <int fixed, class T>
void scan_block(const GatedScanForward<T>& a, const Place& at, Rows<T> of_b, Rows<T> of_c, Pack<T>* decay, Pack<T>* state) {
  const std::int64_t states = state_count<fixed>(a.states);
  decays<fixed, T>(a, at, decay);
  Pack<T> local[fixed ? fixed : 1];
  Pack<T>* h = fixed ? local : state;
  if constexpr (fixed > 0)
    for (int n = 0; n < fixed; ++n) h[n] = state[n];
  for (std::int64_t t = 0; t < at.tokens; ++t) {
    const Pack<T> v = load(a.v + (at.first + t) * a.v_stride + at.c, at.channels);
    const Compute<T>* b = of_b.data + t * of_b.stride;
    const Compute<T>* gain = of_c.data + t * of_c.stride;
    Pack<T> y{};
    for (std::int64_t n = 0; n < states; ++n) {
      const Pack<T> fed = v * b[n];
      h[n] = decay[t * states + n] * h[n] + (fed - decay[t * states + n] * fed);
      y = h[n] * gain[n] + y;
    }
    store(a.y + (at.first + t) * a.y_stride + at.c, y, at.channels);
  }
  if constexpr (fixed > 0)
    for (int n = 0; n < fixed; ++n) state[n] = h[n];
}

template <int fixed, class T>
void forward(const GatedScanForward<T>& a) {
  const std::int64_t states = state_count<fixed>(a.states);
  const std::int64_t blocks = padded<T>(a.width) / lanes<T>;
  const std::int64_t wide = padded<T>(chunk_size * states) / lanes<T>;
  auto* state = static_cast<Pack<T>*>(scratch_bytes(static_cast<std::size_t>(((blocks + chunk_size) * states + 2 * wide) * pack_bytes)));
  Pack<T>* decay = state + blocks * states;
  auto* wide_b = reinterpret_cast<Compute<T>*>(decay + chunk_size * states);
  auto* wide_c = wide_b + padded<T>(chunk_size * states);
  const std::int64_t chunks = (a.length + chunk_size - 1) / chunk_size;
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    const std::int64_t of_batch = batch * states * a.width;
    for (std::int64_t k = 0; k < blocks; ++k)
      for (std::int64_t n = 0; n < states; ++n) {
        const std::int64_t c = k * lanes<T>;
        state[k * states + n] = a.initial ? load(a.initial + of_batch + n * a.width + c, a.width - c) : Pack<T>{};
      }
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      const std::int64_t first = batch * a.length + chunk * chunk_size;
      const std::int64_t tokens = smaller(chunk_size, a.length - chunk * chunk_size);
      const auto of_b = rows_to_compute(a.b + first * a.b_stride, a.b_stride, tokens, states, wide_b);
      const auto of_c = rows_to_compute(a.c + first * a.c_stride, a.c_stride, tokens, states, wide_c);
      for (std::int64_t k = 0; k < blocks; ++k) {
        const Place at{first, tokens, k * lanes<T>, a.width - k * lanes<T>};
        if (a.checkpoints)
          for (std::int64_t n = 0; n < states; ++n)
            store(a.checkpoints + ((batch * chunks + chunk) * states + n) * a.width + at.c, state[k * states + n], at.channels);
        scan_block<fixed>(a, at, of_b, of_c, decay, state + k * states);
      }
    }
    if (a.final)
      for (std::int64_t k = 0; k < blocks; ++k)
        for (std::int64_t n = 0; n < states; ++n) {
          const std::int64_t c = k * lanes<T>;
          store(a.final + of_batch + n * a.width + c, state[k * states + n], a.width - c);
        }
  }
}

/// Everything one backward call works with besides its arguments.
template <class T>
struct Workspace {
  Pack<T>* carried;    // (blocks, states): a_{t+1} g_{t+1}
  Pack<T>* dbias;      // (blocks, states)
  Pack<T>* before;     // (chunk + 1, states): [t] is the state before token t
  Pack<T>* decay;      // (chunk, states)
  Pack<T>* db;         // (chunk, states), a lane for each channel of a block
  Pack<T>* dc;         // (chunk, states)
  Compute<T>* wide_b;  // (chunk, states), where B and C are widened
  Compute<T>* wide_c;

  Workspace(std::int64_t blocks, std::int64_t states) {
    const std::int64_t wide = padded<T>(chunk_size * states) / lanes<T>;
    const std::int64_t packs = (2 * blocks + 4 * chunk_size + 1) * states + 2 * wide;
    carried = static_cast<Pack<T>*>(scratch_bytes(static_cast<std::size_t>(packs * pack_bytes)));
    dbias = carried + blocks * states;
    before = dbias + blocks * states;
    decay = before + (chunk_size + 1) * states;
    db = decay + chunk_size * states;
    dc = db + chunk_size * states;
    wide_b = reinterpret_cast<Compute<T>*>(dc + chunk_size * states);
    wide_c = wide_b + padded<T>(chunk_size * states);
  }
};

/// States and decays of one block over one chunk, from the checkpoint.
template <int fixed, class T>
void recompute(const GatedScanBackward<T>& a, const Workspace<T>& w, const Place& at, const Compute<T>* checkpoint, Rows<T> of_b) {
  const std::int64_t states = state_count<fixed>(a.states);
  decays<fixed, T>(a, at, w.decay);
  for (std::int64_t n = 0; n < states; ++n) w.before[n] = load(checkpoint + n * a.width + at.c, at.channels);
  for (std::int64_t t = 0; t < at.tokens; ++t) {
    const Pack<T> v = load(a.v + (at.first + t) * a.v_stride + at.c, at.channels);
    const Compute<T>* b = of_b.data + t * of_b.stride;
    Pack<T>* h = w.before + t * states;
    for (std::int64_t n = 0; n < states; ++n) {
      const Pack<T> fed = v * b[n];
      h[states + n] = w.decay[t * states + n] * h[n] + (fed - w.decay[t * states + n] * fed);
    }
  }
}

template <int fixed, class T>
void reverse(const GatedScanBackward<T>& a, const Workspace<T>& w, const Place& at, std::int64_t block, Rows<T> of_b, Rows<T> of_c) {
  const std::int64_t states = state_count<fixed>(a.states);
  Pack<T>* carried = w.carried + block * states;
  Pack<T>* dbias = w.dbias + block * states;
  for (std::int64_t t = at.tokens - 1; t >= 0; --t) {
    const std::int64_t token = at.first + t;
    const Pack<T> v = load(a.v + token * a.v_stride + at.c, at.channels);
    const Pack<T> dy = load(a.dy + token * a.dy_stride + at.c, at.channels);
    const Compute<T>* b = of_b.data + t * of_b.stride;
    const Compute<T>* gain = of_c.data + t * of_c.stride;
    Pack<T> dv{};
    for (std::int64_t n = 0; n < states; ++n) {
      const Pack<T>* h = w.before + t * states + n;
      const Pack<T> decay = w.decay[t * states + n];
      const Pack<T> g = dy * gain[n] + carried[n];
      const Pack<T> kept = decay * g;
      const Pack<T> fed = g - kept;  // (1 − a) g
      const Pack<T> dgate = (h[0] - v * b[n]) * (fed * decay);
      w.dc[t * states + n] = dy * h[states] + w.dc[t * states + n];
      w.db[t * states + n] = fed * v + w.db[t * states + n];
      dv = fed * b[n] + dv;
      dbias[n] += dgate;
      carried[n] = kept;
      store(a.dgate + token * a.dgate_stride + n * a.width + at.c, dgate, at.channels);
    }
    store(a.dv + token * a.dv_stride + at.c, dv, at.channels);
  }
}

template <class T>
void clear(Pack<T>* packs, std::int64_t count) {
  __builtin_memset(packs, 0, static_cast<std::size_t>(count * pack_bytes));
}

template <int fixed, class T>
void backward(const GatedScanBackward<T>& a) {
  const std::int64_t states = state_count<fixed>(a.states);
  const std::int64_t blocks = padded<T>(a.width) / lanes<T>;
  const Workspace<T> w(blocks, states);
  const std::int64_t chunks = (a.length + chunk_size - 1) / chunk_size;
  clear<Compute<T>>(w.dbias, blocks * states);
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    clear<Compute<T>>(w.carried, blocks * states);
    for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
      clear<Compute<T>>(w.db, 2 * chunk_size * states);  // and dc, behind it
      const std::int64_t first = batch * a.length + chunk * chunk_size;
      const std::int64_t tokens = smaller(chunk_size, a.length - chunk * chunk_size);
      const auto of_b = rows_to_compute(a.b + first * a.b_stride, a.b_stride, tokens, states, w.wide_b);
      const auto of_c = rows_to_compute(a.c + first * a.c_stride, a.c_stride, tokens, states, w.wide_c);
      for (std::int64_t k = 0; k < blocks; ++k) {
        const Place at{first, tokens, k * lanes<T>, a.width - k * lanes<T>};
        recompute<fixed>(a, w, at, a.checkpoints + (batch * chunks + chunk) * states * a.width, of_b);
        reverse<fixed>(a, w, at, k, of_b, of_c);
      }
      for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t n = 0; n < states; ++n) {
          a.db[(first + t) * a.db_stride + n] = T(sum<Compute<T>>(w.db[t * states + n]));
          a.dc[(first + t) * a.dc_stride + n] = T(sum<Compute<T>>(w.dc[t * states + n]));
        }
    }
  }
  for (std::int64_t k = 0; k < blocks; ++k)
    for (std::int64_t n = 0; n < states; ++n) {
      const std::int64_t c = k * lanes<T>;
      Compute<T>* dbias = a.dbias + n * a.width + c;
      store(dbias, load(dbias, a.width - c) + w.dbias[k * states + n], a.width - c);
    }
}

}  // namespace

template <Level level, class T>
void execute(const GatedScanForward<T>& a) {
  if (a.states == 2) return forward<2>(a);
  forward<0>(a);
}

template <Level level, class T>
void execute(const GatedScanBackward<T>& a) {
  if (a.states == 2) return backward<2>(a);
  backward<0>(a);
}

template void execute<here>(const GatedScanForward<float>&);
template void execute<here>(const GatedScanForward<double>&);
template void execute<here>(const GatedScanForward<bfloat16>&);
template void execute<here>(const GatedScanBackward<float>&);
template void execute<here>(const GatedScanBackward<double>&);
template void execute<here>(const GatedScanBackward<bfloat16>&);

}  // namespace starling::kernels
