#include <starling/kernels/selective_scan.hpp>

#include <starling/kernels/scan_blocks.hpp>
#include <starling/kernels/scratch.hpp>

namespace starling::kernels {
namespace {

/// Everything one call works with besides its arguments. Per block of channels: decay, the gradient carried towards
/// earlier tokens (decay_{t+1} g_{t+1}), and the gradients of the parameters. Per chunk: states and decays of one
/// block, and, summed over blocks, the gradients of B and C with a lane for each channel of a block.
template <class T>
struct Workspace {
  Pack<T>* decay;      // (blocks, states), A log₂ e
  Pack<T>* carried;    // (blocks, states)
  Pack<T>* da;         // (blocks, states)
  Pack<T>* dskip;      // (blocks)
  Pack<T>* dbias;      // (blocks)
  Pack<T>* before;     // (scan_chunk + 1, states): [t] is the state before token t of the chunk
  Pack<T>* factor;     // (scan_chunk, states): the decays
  Pack<T>* db;         // (scan_chunk, states)
  Pack<T>* dc;         // (scan_chunk, states)
  Pack<T>* step;       // (scan_chunk): Δ
  Pack<T>* slope;      // (scan_chunk): its derivative
  Pack<T>* u;          // (scan_chunk): dy silu(z)
  Pack<T>* dz;         // (scan_chunk): dy silu'(z)
  Compute<T>* wide_b;  // (scan_chunk, states), where B and C are widened
  Compute<T>* wide_c;

  Workspace(std::int64_t blocks, std::int64_t states) {
    const std::int64_t wide = padded<T>(scan_chunk * states) / lanes<T>;
    const std::int64_t packs = blocks * (3 * states + 2) + (4 * scan_chunk + 1) * states + 4 * scan_chunk + 2 * wide;
    auto* next = static_cast<Pack<T>*>(scratch_bytes(static_cast<std::size_t>(packs * pack_bytes)));
    const auto take = [&](std::int64_t count) {
      Pack<T>* taken = next;
      next += count;
      return taken;
    };
    decay = take(blocks * states);
    carried = take(blocks * states);
    da = take(blocks * states);
    dskip = take(blocks);
    dbias = take(blocks);
    before = take((scan_chunk + 1) * states);
    factor = take(scan_chunk * states);
    db = take(scan_chunk * states);
    dc = take(scan_chunk * states);
    step = take(scan_chunk);
    slope = take(scan_chunk);
    u = take(scan_chunk);
    dz = take(scan_chunk);
    wide_b = reinterpret_cast<Compute<T>*>(take(wide));
    wide_c = reinterpret_cast<Compute<T>*>(take(wide));
  }
};

template <class T>
void clear(Pack<T>* packs, std::int64_t count) {
  __builtin_memset(packs, 0, static_cast<std::size_t>(count * pack_bytes));
}

/// What does not depend on the state, of one block over one chunk: without a chain from token to token the long
/// latencies overlap.
template <class T>
void prepare(const SelectiveScanBackward<T>& a, const Workspace<T>& w, std::int64_t batch, std::int64_t chunk, std::int64_t block) {
  const std::int64_t c = block * lanes<T>;
  const std::int64_t n = a.width - c;
  const std::int64_t begin = chunk * scan_chunk;
  const std::int64_t end = smaller(begin + scan_chunk, a.length);
  const Pack<T> bias = a.bias ? load(a.bias + c, n) : Pack<T>{};
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t token = batch * a.length + t;
    const Pack<T> raw = load(a.delta + token * a.delta_stride + c, n) + bias;
    const Pack<T> dy = load(a.dy + token * a.dy_stride + c, n);
    w.step[t - begin] = softplus<Compute<T>>(raw);
    w.slope[t - begin] = sigmoid<Compute<T>>(raw);
    w.u[t - begin] = dy;
    if (!a.z) continue;
    const Pack<T> z = load(a.z + token * a.z_stride + c, n);
    const Pack<T> gate = sigmoid<Compute<T>>(z);
    w.u[t - begin] = dy * (z * gate);
    w.dz[t - begin] = dy * (gate * (z * (Compute<T>(1) - gate) + Compute<T>(1)));
  }
}

/// States and decays of one block over one chunk, from the checkpoint.
template <int fixed, class T>
void recompute(const SelectiveScanBackward<T>& a, const Workspace<T>& w, std::int64_t batch, std::int64_t chunk, std::int64_t block,
               ChunkRows<Compute<T>> of_b) {
  const std::int64_t states = state_count<fixed>(a.states);
  const std::int64_t chunks = (a.length + scan_chunk - 1) / scan_chunk;
  const std::int64_t c = block * lanes<T>;
  const std::int64_t n = a.width - c;
  const std::int64_t begin = chunk * scan_chunk;
  const std::int64_t end = smaller(begin + scan_chunk, a.length);
  const Pack<T>* decay = w.decay + block * states;
  Pack<T> local[fixed ? fixed : 1];
  for (std::int64_t s = 0; s < states; ++s) {
    w.before[s] = load(a.checkpoints + ((batch * chunks + chunk) * states + s) * a.width + c, n);
    if constexpr (fixed > 0) local[s] = w.before[s];
  }
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t token = batch * a.length + t;
    const Pack<T> step = w.step[t - begin];
    const Pack<T> fed = step * load(a.v + token * a.v_stride + c, n);
    const Compute<T>* b = of_b.data + (t - begin) * of_b.stride;
    Pack<T>* factor = w.factor + (t - begin) * states;
    Pack<T>* state = w.before + (t - begin) * states;
#pragma GCC unroll 16
    for (std::int64_t s = 0; s < states; ++s) {
      factor[s] = exp2_bounded<Compute<T>>(step * decay[s]);
      if constexpr (fixed > 0) {
        local[s] = factor[s] * local[s] + fed * b[s];
        state[states + s] = local[s];
      } else {
        state[states + s] = factor[s] * state[s] + fed * b[s];
      }
    }
  }
}

/// The reverse pass of one block over one chunk.
template <int fixed, class T>
void reverse(const SelectiveScanBackward<T>& a, const Workspace<T>& w, std::int64_t batch, std::int64_t chunk, std::int64_t block,
             ChunkRows<Compute<T>> of_b, ChunkRows<Compute<T>> of_c) {
  const std::int64_t states = state_count<fixed>(a.states);
  const std::int64_t c = block * lanes<T>;
  const std::int64_t n = a.width - c;
  const std::int64_t begin = chunk * scan_chunk;
  const std::int64_t end = smaller(begin + scan_chunk, a.length);
  const Pack<T> skip = a.skip ? load(a.skip + c, n) : Pack<T>{};
  const Pack<T>* decay = w.decay + block * states;
  Pack<T>* da = w.da + block * states;
  Pack<T> local[fixed ? fixed : 1];
  Pack<T>* g = fixed ? local : w.carried + block * states;
  if constexpr (fixed > 0)
    for (int s = 0; s < fixed; ++s) g[s] = w.carried[block * states + s];
  Pack<T> dskip{};
  Pack<T> dbias{};
  for (std::int64_t t = end - 1; t >= begin; --t) {
    const std::int64_t token = batch * a.length + t;
    const Compute<T>* b = of_b.data + (t - begin) * of_b.stride;
    const Compute<T>* gain = of_c.data + (t - begin) * of_c.stride;
    const Pack<T> v = load(a.v + token * a.v_stride + c, n);
    const Pack<T> step = w.step[t - begin];
    const Pack<T> fed = step * v;
    const Pack<T> u = w.u[t - begin];
    const Pack<T>* before = w.before + (t - begin) * states;
    const Pack<T>* factor = w.factor + (t - begin) * states;
    Pack<T>* db = w.db + (t - begin) * states;
    Pack<T>* dc = w.dc + (t - begin) * states;
    Pack<T> through_b{};      // Σ g B
    Pack<T> through_decay{};  // Σ g A log₂e e^{ΔA} h
    Pack<T> y = skip * v;
#pragma GCC unroll 16
    for (std::int64_t s = 0; s < states; ++s) {
      const Pack<T> after = before[states + s];
      const Pack<T> whole = u * gain[s] + g[s];
      const Pack<T> moved = whole * factor[s];  // the gradient of the state before
      const Pack<T> turned = moved * before[s];
      y = after * gain[s] + y;
      dc[s] = u * after + dc[s];
      db[s] = whole * fed + db[s];
      through_b = whole * b[s] + through_b;
      through_decay = turned * decay[s] + through_decay;
      da[s] = turned * step + da[s];
      g[s] = moved;
    }
    if (a.z) store(a.dz + token * a.dz_stride + c, w.dz[t - begin] * y, n);
    store(a.dv + token * a.dv_stride + c, step * through_b + skip * u, n);
    const Pack<T> ddelta = (through_decay * Compute<T>(ln_of_2) + through_b * v) * w.slope[t - begin];
    store(a.ddelta + token * a.ddelta_stride + c, ddelta, n);
    dskip = u * v + dskip;
    dbias += ddelta;
  }
  if constexpr (fixed > 0)
    for (int s = 0; s < fixed; ++s) w.carried[block * states + s] = g[s];
  w.dskip[block] += dskip;
  w.dbias[block] += dbias;
}

template <class T>
void add_parameter_gradients(const SelectiveScanBackward<T>& a, const Workspace<T>& w, std::int64_t blocks) {
  for (std::int64_t k = 0; k < blocks; ++k) {
    const std::int64_t c = k * lanes<T>;
    const std::int64_t n = a.width - c;
    if (a.dskip) store(a.dskip + c, load(a.dskip + c, n) + w.dskip[k], n);
    if (a.dbias) store(a.dbias + c, load(a.dbias + c, n) + w.dbias[k], n);
    for (std::int64_t s = 0; s < a.states; ++s) {
      const Pack<T> gradient = w.da[k * a.states + s] * w.decay[k * a.states + s] * Compute<T>(ln_of_2);
      for (std::int64_t lane = 0; lane < smaller(n, lanes<T>); ++lane) a.da_log[(c + lane) * a.states + s] += gradient[lane];
    }
  }
}

template <int fixed, class T>
void backward(const SelectiveScanBackward<T>& a) {
  const std::int64_t states = a.states;
  const std::int64_t blocks = padded<T>(a.width) / lanes<T>;
  const Workspace<T> w(blocks, states);
  for (std::int64_t k = 0; k < blocks; ++k) {
    const std::int64_t c = k * lanes<T>;
    gather_decay(a.a_log + c * states, a.width - c, states, w.decay + k * states);
  }
  clear<Compute<T>>(w.da, blocks * states);
  clear<Compute<T>>(w.dskip, blocks);
  clear<Compute<T>>(w.dbias, blocks);
  const std::int64_t chunks = (a.length + scan_chunk - 1) / scan_chunk;
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    clear<Compute<T>>(w.carried, blocks * states);
    for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
      clear<Compute<T>>(w.db, scan_chunk * states);
      clear<Compute<T>>(w.dc, scan_chunk * states);
      const std::int64_t begin = chunk * scan_chunk;
      const std::int64_t end = smaller(begin + scan_chunk, a.length);
      const std::int64_t first = batch * a.length + begin;
      const auto of_b = rows_to_compute(a.b + first * a.b_stride, a.b_stride, end - begin, states, w.wide_b);
      const auto of_c = rows_to_compute(a.c + first * a.c_stride, a.c_stride, end - begin, states, w.wide_c);
      for (std::int64_t k = 0; k < blocks; ++k) {
        prepare(a, w, batch, chunk, k);
        recompute<fixed>(a, w, batch, chunk, k, of_b);
        reverse<fixed>(a, w, batch, chunk, k, of_b, of_c);
      }
      for (std::int64_t t = begin; t < end; ++t) {
        const std::int64_t token = batch * a.length + t;
        for (std::int64_t s = 0; s < states; ++s) {
          a.db[token * a.db_stride + s] = T(sum<Compute<T>>(w.db[(t - begin) * states + s]));
          a.dc[token * a.dc_stride + s] = T(sum<Compute<T>>(w.dc[(t - begin) * states + s]));
        }
      }
    }
  }
  add_parameter_gradients(a, w, blocks);
}

}  // namespace

template <Level level, class T>
void execute(const SelectiveScanBackward<T>& a) {
  if (a.states == 16) return backward<16>(a);
  backward<0>(a);
}

template void execute<here>(const SelectiveScanBackward<float>&);
template void execute<here>(const SelectiveScanBackward<double>&);
template void execute<here>(const SelectiveScanBackward<bfloat16>&);

}  // namespace starling::kernels
