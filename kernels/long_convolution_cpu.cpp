#include <starling/kernels/long_convolution.hpp>

#include <starling/kernels/scratch.hpp>
#include <starling/kernels/simd.hpp>

#include <cassert>

namespace starling::kernels {
namespace {

// Channels lie across lanes: a sequence is an array of packs, one per token.

constexpr std::int64_t tile = 8;      // outputs whose sums lie in registers, inputs that meet them
constexpr std::int64_t direct = 128;  // blocks up to this size are multiplied entry by entry; larger ones are it times 2, 4, …

/// `tile` outputs from `out` on += the inputs in [0, count), every one of them seen by all outputs; the first output meets
/// input 0 with lag 0 of `lags`.
template <class T>
[[gnu::always_inline]] inline void add_rectangle(const Pack<T>* lags, const Pack<T>* inputs, std::int64_t count, Pack<T>* sums) {
  std::int64_t s = 0;
  for (; s + tile <= count; s += tile) {
    const Pack<T>* window = lags - s;
#pragma GCC unroll 8
    for (std::int64_t j = 0; j < tile; ++j) {
      const Pack<T> input = inputs[s + j];
#pragma GCC unroll 8
      for (std::int64_t i = 0; i < tile; ++i) sums[i] = window[i - j] * input + sums[i];
    }
  }
  for (; s < count; ++s) {
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < tile; ++i) sums[i] = lags[i - s] * inputs[s] + sums[i];
  }
}

/// out[i] += Σ_{j < size} lags[i − j] inputs[j] for i < rows (a multiple of the tile).
template <class T>
void add_directly(const Pack<T>* lags, const Pack<T>* inputs, Pack<T>* out, std::int64_t rows, std::int64_t size) {
  for (std::int64_t t = 0; t < rows; t += tile) {
    Pack<T> sums[tile];
    for (std::int64_t i = 0; i < tile; ++i) sums[i] = out[t + i];
    add_rectangle<T>(lags + t, inputs, size, sums);
    for (std::int64_t i = 0; i < tile; ++i) out[t + i] = sums[i];
  }
}

/// The same for rows = size: a full Toeplitz block. `lags` points at lag 0 of its diagonal and reaches size − 1 either way.
/// temporary: 3 · size packs.
template <class T>
void add_block(const Pack<T>* lags, const Pack<T>* inputs, Pack<T>* out, std::int64_t size, Pack<T>* temporary) {
  if (size <= direct) return add_directly<T>(lags, inputs, out, size, size);
  // [upper; lower] = [D A; B D] [x0; x1]:  P = D (x0 + x1), upper = P + (A − D) x1, lower = P + (B − D) x0.
  const std::int64_t half = size / 2;
  Pack<T>* product = temporary;
  Pack<T>* sum = temporary + half;
  Pack<T>* difference = temporary + half;  // 2 · half − 1 lags, after the sum has been used
  Pack<T>* rest = temporary + 3 * half;
  for (std::int64_t i = 0; i < half; ++i) {
    product[i] = Pack<T>{};
    sum[i] = inputs[i] + inputs[half + i];
  }
  add_block<T>(lags, sum, product, half, rest);
  for (std::int64_t i = 0; i < half; ++i) {
    out[i] += product[i];
    out[half + i] += product[i];
  }
  for (std::int64_t i = 1 - half; i < half; ++i) difference[half + i] = lags[i - half] - lags[i];
  add_block<T>(difference + half, inputs + half, out, half, rest);
  for (std::int64_t i = 1 - half; i < half; ++i) difference[half + i] = lags[i + half] - lags[i];
  add_block<T>(difference + half, inputs, out + half, half, rest);
}

/// The same for the first `rows` (a multiple of the tile, at most size) outputs alone.
template <class T>
void add_rows(const Pack<T>* lags, const Pack<T>* inputs, Pack<T>* out, std::int64_t rows, std::int64_t size, Pack<T>* temporary) {
  if (rows <= 0) return;
  if (rows == size) return add_block<T>(lags, inputs, out, size, temporary);
  if (size <= direct) return add_directly<T>(lags, inputs, out, rows, size);
  const std::int64_t half = size / 2;
  const std::int64_t upper = smaller(rows, half);
  add_rows<T>(lags, inputs, out, upper, half, temporary);
  add_rows<T>(lags - half, inputs + half, out, upper, half, temporary);
  add_rows<T>(lags + half, inputs, out + half, rows - half, half, temporary);
  add_rows<T>(lags, inputs + half, out + half, rows - half, half, temporary);
}

/// out[t] += Σ_{s ≤ t} lags[t − s] inputs[s] for t < length. The arrays reach `tile` packs past their ends.
template <class T>
void add_product(const Pack<T>* lags, const Pack<T>* inputs, Pack<T>* out, std::int64_t length, Pack<T>* temporary) {
  for (std::int64_t begin = 0, number = 0; begin < length; begin += direct, ++number) {
    // Tokens of two different base blocks meet where the smallest dyadic block that holds both is halved.
    if (number > 0) {
      const std::int64_t size = (number & -number) * direct;
      const std::int64_t rows = smaller(size, (length - begin + tile - 1) / tile * tile);
      add_rows<T>(lags + size, inputs + begin - size, out + begin, rows, size, temporary);
    }
    for (std::int64_t t = begin; t < smaller(begin + direct, length); t += tile) {
      Pack<T> sums[tile];
      for (std::int64_t i = 0; i < tile; ++i) sums[i] = out[t + i];
      add_rectangle<T>(lags + t - begin, inputs + begin, t - begin, sums);
#pragma GCC unroll 8
      for (std::int64_t i = 0; i < tile; ++i)
#pragma GCC unroll 8
        for (std::int64_t j = 0; j <= i; ++j) sums[i] = lags[i - j] * inputs[t + j] + sums[i];
      for (std::int64_t i = 0; i < tile; ++i) out[t + i] = sums[i];
    }
  }
}

/// One pack of channels of a sequence, `reversed` in time, zero behind its end.
template <class T>
void gather(const T* from, std::int64_t stride, std::int64_t length, std::int64_t channels, bool reversed, Pack<T>* to) {
  for (std::int64_t t = 0; t < length; ++t) to[reversed ? length - 1 - t : t] = load(from + t * stride, channels);
  for (std::int64_t t = length; t < length + tile; ++t) to[t] = Pack<T>{};
}

template <class T>
void scatter(const Pack<T>* from, std::int64_t length, std::int64_t channels, bool reversed, T* to, std::int64_t stride) {
  for (std::int64_t t = 0; t < length; ++t) store(to + t * stride, from[reversed ? length - 1 - t : t], channels);
}

template <class T>
void clear(Pack<T>* packs, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) packs[i] = Pack<T>{};
}

template <class T>
Pack<T>* packs_of_scratch(std::int64_t count) {
  return static_cast<Pack<T>*>(scratch_bytes(static_cast<std::size_t>(count * pack_bytes)));
}

/// Few outputs: inputs and kernel are read once, in place.
template <class T>
void one_output(const T* x, std::int64_t x_stride, const Compute<T>* kernel, std::int64_t kernel_stride, std::int64_t last,
                std::int64_t channels, T* y) {
  constexpr std::int64_t packs = 4;
  for (std::int64_t c = 0; c < channels; c += packs * lanes<T>) {
    Pack<T> sums[packs] = {};
    for (std::int64_t s = 0; s <= last; ++s)
      for (std::int64_t k = 0; k < packs; ++k) {
        const std::int64_t at = c + k * lanes<T>;
        if (at >= channels) break;
        const std::int64_t n = channels - at;
        sums[k] = load(kernel + (last - s) * kernel_stride + at, n) * load(x + s * x_stride + at, n) + sums[k];
      }
    for (std::int64_t k = 0; k < packs; ++k) {
      const std::int64_t at = c + k * lanes<T>;
      if (at < channels) store(y + at, sums[k], channels - at);
    }
  }
}

}  // namespace

template <Level level, class T>
void execute(const LongConvolutionForward<T>& a) {
  assert(a.outputs <= a.length);
  const std::int64_t hidden = a.length - a.outputs;
  if (a.outputs <= tile) {
    for (std::int64_t batch = 0; batch < a.batch; ++batch)
      for (std::int64_t i = 0; i < a.outputs; ++i)
        one_output(a.x + batch * a.x_batch, a.x_stride, a.kernel, a.kernel_stride, hidden + i, a.channels,
                   a.y + batch * a.y_batch + i * a.y_stride);
    return;
  }
  const std::int64_t room = a.length + tile;
  Pack<T>* lags = packs_of_scratch<T>(6 * room);
  Pack<T>* inputs = lags + room;
  Pack<T>* out = inputs + room;
  Pack<T>* temporary = out + room;
  for (std::int64_t c = 0; c < a.channels; c += lanes<T>) {
    const std::int64_t n = a.channels - c;
    gather(a.kernel + c, a.kernel_stride, a.length, n, false, lags);
    for (std::int64_t batch = 0; batch < a.batch; ++batch) {
      gather(a.x + batch * a.x_batch + c, a.x_stride, a.length, n, false, inputs);
      clear<T>(out, room);
      add_product<T>(lags, inputs, out, a.length, temporary);
      scatter(out + hidden, a.outputs, n, false, a.y + batch * a.y_batch + c, a.y_stride);
    }
  }
}

template <Level level, class T>
void execute(const LongConvolutionBackward<T>& a) {
  const std::int64_t room = a.length + tile;
  Pack<T>* lags = packs_of_scratch<T>(8 * room);
  Pack<T>* inputs = lags + room;
  Pack<T>* gradient = inputs + room;
  Pack<T>* out = gradient + room;
  Pack<T>* dlags = out + room;
  Pack<T>* temporary = dlags + room;
  for (std::int64_t c = 0; c < a.channels; c += lanes<T>) {
    const std::int64_t n = a.channels - c;
    gather(a.kernel + c, a.kernel_stride, a.length, n, false, lags);
    clear<T>(dlags, room);
    for (std::int64_t batch = 0; batch < a.batch; ++batch) {
      gather(a.x + batch * a.x_batch + c, a.x_stride, a.length, n, false, inputs);
      gather(a.dy + batch * a.dy_batch + c, a.dy_stride, a.length, n, true, gradient);
      clear<T>(out, room);
      add_product<T>(lags, gradient, out, a.length, temporary);
      scatter(out, a.length, n, true, a.dx + batch * a.dx_batch + c, a.dx_stride);
      add_product<T>(inputs, gradient, dlags, a.length, temporary);
    }
    scatter(dlags, a.length, n, true, a.dkernel + c, a.dkernel_stride);
  }
}

template void execute<here>(const LongConvolutionForward<float>&);
template void execute<here>(const LongConvolutionForward<double>&);
template void execute<here>(const LongConvolutionForward<bfloat16>&);
template void execute<here>(const LongConvolutionBackward<float>&);
template void execute<here>(const LongConvolutionBackward<double>&);
template void execute<here>(const LongConvolutionBackward<bfloat16>&);

}  // namespace starling::kernels
