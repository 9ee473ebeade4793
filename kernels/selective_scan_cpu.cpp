#include <starling/kernels/selective_scan.hpp>

#include <starling/kernels/scan_blocks.hpp>
#include <starling/kernels/scratch.hpp>

namespace starling::kernels {
namespace {

/// Tokens [begin, end) of one sequence, at most scan_chunk of them, for the block of channels at `c`; `state` is
/// carried in and out.
template <int fixed, class T>
void scan_block(const SelectiveScanForward<T>& a, std::int64_t batch, std::int64_t c, std::int64_t begin, std::int64_t end,
                ChunkRows<Compute<T>> of_b, ChunkRows<Compute<T>> of_c, const Pack<T>* decay, Pack<T>* state) {
  const std::int64_t states = state_count<fixed>(a.states);
  const std::int64_t n = a.width - c;
  const Pack<T> bias = a.bias ? load(a.bias + c, n) : Pack<T>{};
  const Pack<T> skip = a.skip ? load(a.skip + c, n) : Pack<T>{};
  // What does not depend on the state comes first, token by token without a chain: its long latencies overlap.
  Pack<T> step[scan_chunk];
  Pack<T> gate[scan_chunk];
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t token = batch * a.length + t;
    step[t - begin] = softplus<Compute<T>>(load(a.delta + token * a.delta_stride + c, n) + bias);
    if (!a.z) continue;
    const Pack<T> z = load(a.z + token * a.z_stride + c, n);
    gate[t - begin] = z * sigmoid<Compute<T>>(z);
  }
  Pack<T> local[fixed ? fixed : 1];
  Pack<T>* h = fixed ? local : state;
  if constexpr (fixed > 0)
    for (int s = 0; s < fixed; ++s) h[s] = state[s];
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t token = batch * a.length + t;
    const Pack<T> delta = step[t - begin];
    const Pack<T> v = load(a.v + token * a.v_stride + c, n);
    const Pack<T> fed = delta * v;
    const Compute<T>* b = of_b.data + (t - begin) * of_b.stride;
    const Compute<T>* gain = of_c.data + (t - begin) * of_c.stride;
    Pack<T> even = skip * v;
    Pack<T> odd{};
#pragma GCC unroll 16
    for (std::int64_t s = 0; s < states; ++s) {
      h[s] = exp2_bounded<Compute<T>>(delta * decay[s]) * h[s] + fed * b[s];
      Pack<T>& y = s % 2 ? odd : even;
      y = h[s] * gain[s] + y;
    }
    Pack<T> y = even + odd;
    if (a.z) y *= gate[t - begin];
    store(a.y + token * a.y_stride + c, y, n);
  }
  if constexpr (fixed > 0)
    for (int s = 0; s < fixed; ++s) state[s] = h[s];
}

template <int fixed, class T>
void forward(const SelectiveScanForward<T>& a) {
  const std::int64_t states = a.states;
  const std::int64_t blocks = padded<T>(a.width) / lanes<T>;
  const std::int64_t packs = 2 * blocks * states + 2 * padded<T>(scan_chunk * states) / lanes<T>;
  auto* decay = static_cast<Pack<T>*>(scratch_bytes(static_cast<std::size_t>(packs * pack_bytes)));
  Pack<T>* state = decay + blocks * states;
  auto* wide_b = reinterpret_cast<Compute<T>*>(state + blocks * states);
  auto* wide_c = wide_b + padded<T>(scan_chunk * states);
  for (std::int64_t k = 0; k < blocks; ++k) {
    const std::int64_t c = k * lanes<T>;
    gather_decay(a.a_log + c * states, a.width - c, states, decay + k * states);
  }
  const std::int64_t chunks = (a.length + scan_chunk - 1) / scan_chunk;
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    for (std::int64_t i = 0; i < blocks * states; ++i) state[i] = Pack<T>{};
    const std::int64_t of_batch = batch * a.width * states;
    if (a.initial)
      for (std::int64_t c = 0; c < a.width; ++c)
        for (std::int64_t s = 0; s < states; ++s) state[c / lanes<T> * states + s][c % lanes<T>] = a.initial[of_batch + c * states + s];
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      const std::int64_t begin = chunk * scan_chunk;
      const std::int64_t end = smaller(begin + scan_chunk, a.length);
      const std::int64_t token = batch * a.length + begin;
      const auto of_b = rows_to_compute(a.b + token * a.b_stride, a.b_stride, end - begin, states, wide_b);
      const auto of_c = rows_to_compute(a.c + token * a.c_stride, a.c_stride, end - begin, states, wide_c);
      for (std::int64_t k = 0; k < blocks; ++k) {
        const std::int64_t c = k * lanes<T>;
        if (a.checkpoints)
          for (std::int64_t s = 0; s < states; ++s)
            store(a.checkpoints + ((batch * chunks + chunk) * states + s) * a.width + c, state[k * states + s], a.width - c);
        scan_block<fixed>(a, batch, c, begin, end, of_b, of_c, decay + k * states, state + k * states);
      }
    }
    if (a.final)
      for (std::int64_t c = 0; c < a.width; ++c)
        for (std::int64_t s = 0; s < states; ++s) a.final[of_batch + c * states + s] = state[c / lanes<T> * states + s][c % lanes<T>];
  }
}

}  // namespace

template <Level level, class T>
void execute(const SelectiveScanForward<T>& a) {
  if (a.states == 16) return forward<16>(a);
  forward<0>(a);
}

template void execute<here>(const SelectiveScanForward<float>&);
template void execute<here>(const SelectiveScanForward<double>&);
template void execute<here>(const SelectiveScanForward<bfloat16>&);

}  // namespace starling::kernels
