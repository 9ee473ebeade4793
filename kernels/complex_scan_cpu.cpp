#include <starling/kernels/complex_scan.hpp>

#include <starling/kernels/elementary.hpp>
#include <starling/kernels/scratch.hpp>

namespace starling::kernels {
namespace {

// Channels lie across lanes. Several pairs go through a chunk of tokens together, in registers, so that the latency of one
// recurrence hides behind the others.
constexpr std::int64_t chunk_size = complex_scan_chunk;
constexpr int together = here == Level::v4 ? 4 : 2;       // forward: 6 registers each
constexpr int together_back = here == Level::v4 ? 2 : 1;  // backward: 12

template <class T>
struct Complex {
  Pack<T> re;
  Pack<T> im;
};

/// A block of channels of arrays (2, pairs, width).
struct Block {
  std::int64_t c;
  std::int64_t channels;
  std::int64_t pairs;
  std::int64_t width;

  template <class T>
  [[gnu::always_inline]] Complex<T> get(const T* from, std::int64_t pair) const {
    return {load(from + pair * width + c, channels), load(from + (pairs + pair) * width + c, channels)};
  }
  template <class T>
  [[gnu::always_inline]] void put(T* to, std::int64_t pair, Complex<T> value) const {
    store(to + pair * width + c, value.re, channels);
    store(to + (pairs + pair) * width + c, value.im, channels);
  }
};

/// decay + leak · tanh(u).
template <bool liquid, class T>
[[gnu::always_inline]] inline Complex<T> decay_at(Complex<T> decay, Complex<T> leak, Pack<T> bend) {
  if constexpr (!liquid) return decay;
  return {leak.re * bend + decay.re, leak.im * bend + decay.im};
}

/// `count` pairs from `first` on over one chunk: adds their part of y, carries their states.
template <int count, bool liquid, class T>
void scan_pairs(const ComplexScanForward<T>& a, const Block& block, std::int64_t first, std::int64_t tokens, const Pack<T>* u,
                const Pack<T>* bend, Pack<T>* y, Complex<Compute<T>>* states) {
  Complex<Compute<T>> s[count], decay[count], weight[count], leak[count];
  for (int k = 0; k < count; ++k) {
    s[k] = states[first + k];
    decay[k] = block.get(a.decay, first + k);
    weight[k] = block.get(a.weight, first + k);
    leak[k] = liquid ? block.get(a.leak, first + k) : Complex<Compute<T>>{};
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    Pack<T> real = y[t];
    Pack<T> imaginary{};
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
      const Complex<Compute<T>> d = decay_at<liquid, Compute<T>>(decay[k], leak[k], liquid ? bend[t] : Pack<T>{});
      const Pack<T> re = d.re * s[k].re + (u[t] - d.im * s[k].im);
      s[k].im = d.re * s[k].im + d.im * s[k].re;
      s[k].re = re;
      real = weight[k].re * s[k].re + real;
      imaginary = weight[k].im * s[k].im + imaginary;
    }
    y[t] = real - imaginary;
  }
  for (int k = 0; k < count; ++k) states[first + k] = s[k];
}

template <bool liquid, class T>
void forward(const ComplexScanForward<T>& a) {
  auto* states = static_cast<Complex<Compute<T>>*>(scratch_bytes(static_cast<std::size_t>(2 * a.pairs * pack_bytes)));
  const std::int64_t chunks = (a.length + chunk_size - 1) / chunk_size;
  const std::int64_t plane = 2 * a.pairs * a.width;
  Pack<T> u[chunk_size], y[chunk_size], bend[liquid ? chunk_size : 1];
  for (std::int64_t c = 0; c < a.width; c += lanes<T>) {
    const Block block{c, a.width - c, a.pairs, a.width};
    const Pack<T> skip = load(a.skip + c, block.channels);
    for (std::int64_t batch = 0; batch < a.batch; ++batch) {
      for (std::int64_t n = 0; n < a.pairs; ++n) states[n] = a.initial ? block.get(a.initial + batch * plane, n) : Complex<Compute<T>>{};
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        if (a.checkpoints)
          for (std::int64_t n = 0; n < a.pairs; ++n) block.put(a.checkpoints + (batch * chunks + chunk) * plane, n, states[n]);
        const std::int64_t begin = batch * a.length + chunk * chunk_size;
        const std::int64_t tokens = smaller(chunk_size, a.length - chunk * chunk_size);
        for (std::int64_t t = 0; t < tokens; ++t) {
          u[t] = load(a.u + (begin + t) * a.u_stride + c, block.channels);
          if constexpr (liquid) bend[t] = tangent<Compute<T>>(u[t]);
          y[t] = skip * u[t];
        }
        std::int64_t n = 0;
        for (; n + together <= a.pairs; n += together) scan_pairs<together, liquid>(a, block, n, tokens, u, bend, y, states);
        for (; n < a.pairs; ++n) scan_pairs<1, liquid>(a, block, n, tokens, u, bend, y, states);
        for (std::int64_t t = 0; t < tokens; ++t) store(a.y + (begin + t) * a.y_stride + c, y[t], block.channels);
      }
      if (a.final)
        for (std::int64_t n = 0; n < a.pairs; ++n) block.put(a.final + batch * plane, n, states[n]);
    }
  }
}

/// Of a block of channels, by pair: decay_{t+1} conj · g_{t+1} on its way to earlier tokens, and the gradients of the
/// parameters.
template <class T>
struct Carried {
  Complex<T> flow;
  Complex<T> ddecay;
  Complex<T> dweight;
  Complex<T> dleak;
};

/// One chunk of a block of channels, token by token.
template <class T>
struct Chunk {
  Pack<T> u[chunk_size];
  Pack<T> dy[chunk_size];
  Pack<T> du[chunk_size];
  Pack<T> bend[chunk_size];   ///< tanh(u)
  Pack<T> dbend[chunk_size];  ///< its gradient
};

/// `count` pairs from `first` on over one chunk, forwards for the states and then backwards.
template <int count, bool liquid, class T>
void reverse_pairs(const ComplexScanBackward<T>& a, const Block& block, std::int64_t first, std::int64_t tokens,
                   const Compute<T>* checkpoint, Chunk<Compute<T>>& chunk, Carried<Compute<T>>* carried) {
  Complex<Compute<T>> before[chunk_size + 1][count];  // [t] is the state before token t
  Complex<Compute<T>> decay[count], weight[count], leak[count];
  for (int k = 0; k < count; ++k) {
    before[0][k] = block.get(checkpoint, first + k);
    decay[k] = block.get(a.decay, first + k);
    weight[k] = block.get(a.weight, first + k);
    leak[k] = liquid ? block.get(a.leak, first + k) : Complex<Compute<T>>{};
  }
  Complex<Compute<T>> s[count];
  for (int k = 0; k < count; ++k) s[k] = before[0][k];
  for (std::int64_t t = 0; t < tokens; ++t) {
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
      const Complex<Compute<T>> d = decay_at<liquid, Compute<T>>(decay[k], leak[k], liquid ? chunk.bend[t] : Pack<T>{});
      const Pack<T> re = d.re * s[k].re + (chunk.u[t] - d.im * s[k].im);
      s[k].im = d.re * s[k].im + d.im * s[k].re;
      s[k].re = re;
      before[t + 1][k] = s[k];
    }
  }
  Complex<Compute<T>> flow[count], ddecay[count], dweight[count], dleak[count];
  for (int k = 0; k < count; ++k) {
    flow[k] = carried[first + k].flow;
    ddecay[k] = carried[first + k].ddecay;
    dweight[k] = carried[first + k].dweight;
    dleak[k] = carried[first + k].dleak;
  }
  for (std::int64_t t = tokens - 1; t >= 0; --t) {
    const Pack<T> dy = chunk.dy[t];
    Pack<T> du = chunk.du[t];
    Pack<T> dbend = liquid ? chunk.dbend[t] : Pack<T>{};
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
      dweight[k].re = s[k].re * dy + dweight[k].re;
      dweight[k].im = dweight[k].im - s[k].im * dy;
      s[k] = before[t][k];
      const Complex<Compute<T>> g{weight[k].re * dy + flow[k].re, flow[k].im - weight[k].im * dy};
      du += g.re;
      if constexpr (liquid) {
        const Complex<Compute<T>> da{s[k].re * g.re + s[k].im * g.im, s[k].re * g.im - s[k].im * g.re};
        ddecay[k].re += da.re;
        ddecay[k].im += da.im;
        dleak[k].re = da.re * chunk.bend[t] + dleak[k].re;
        dleak[k].im = da.im * chunk.bend[t] + dleak[k].im;
        dbend = leak[k].re * da.re + (leak[k].im * da.im + dbend);
      } else {
        ddecay[k].re = s[k].re * g.re + (s[k].im * g.im + ddecay[k].re);
        ddecay[k].im = s[k].re * g.im + (ddecay[k].im - s[k].im * g.re);
      }
      const Complex<Compute<T>> d = decay_at<liquid, Compute<T>>(decay[k], leak[k], liquid ? chunk.bend[t] : Pack<T>{});
      flow[k].re = d.re * g.re + d.im * g.im;
      flow[k].im = d.re * g.im - d.im * g.re;
    }
    chunk.du[t] = du;
    if constexpr (liquid) chunk.dbend[t] = dbend;
  }
  for (int k = 0; k < count; ++k) carried[first + k] = {flow[k], ddecay[k], dweight[k], dleak[k]};
}

template <bool liquid, class T>
void backward(const ComplexScanBackward<T>& a) {
  auto* carried = static_cast<Carried<Compute<T>>*>(scratch_bytes(static_cast<std::size_t>(a.pairs) * sizeof(Carried<Compute<T>>)));
  const std::int64_t chunks = (a.length + chunk_size - 1) / chunk_size;
  const std::int64_t plane = 2 * a.pairs * a.width;
  Chunk<Compute<T>> chunk;
  for (std::int64_t c = 0; c < a.width; c += lanes<T>) {
    const Block block{c, a.width - c, a.pairs, a.width};
    const Pack<T> skip = load(a.skip + c, block.channels);
    Pack<T> dskip{};
    for (std::int64_t n = 0; n < a.pairs; ++n) carried[n] = Carried<Compute<T>>{};
    for (std::int64_t batch = 0; batch < a.batch; ++batch) {
      for (std::int64_t n = 0; n < a.pairs; ++n) carried[n].flow = Complex<Compute<T>>{};
      for (std::int64_t number = chunks - 1; number >= 0; --number) {
        const std::int64_t begin = batch * a.length + number * chunk_size;
        const std::int64_t tokens = smaller(chunk_size, a.length - number * chunk_size);
        for (std::int64_t t = 0; t < tokens; ++t) {
          chunk.u[t] = load(a.u + (begin + t) * a.u_stride + c, block.channels);
          chunk.dy[t] = load(a.dy + (begin + t) * a.dy_stride + c, block.channels);
          chunk.du[t] = skip * chunk.dy[t];
          dskip = chunk.u[t] * chunk.dy[t] + dskip;
          if constexpr (liquid) {
            chunk.bend[t] = tangent<Compute<T>>(chunk.u[t]);
            chunk.dbend[t] = Pack<T>{};
          }
        }
        const Compute<T>* checkpoint = a.checkpoints + (batch * chunks + number) * plane;
        std::int64_t n = 0;
        for (; n + together_back <= a.pairs; n += together_back)
          reverse_pairs<together_back, liquid>(a, block, n, tokens, checkpoint, chunk, carried);
        for (; n < a.pairs; ++n) reverse_pairs<1, liquid>(a, block, n, tokens, checkpoint, chunk, carried);
        for (std::int64_t t = 0; t < tokens; ++t) {
          Pack<T> du = chunk.du[t];
          if constexpr (liquid) du += (Compute<T>(1) - chunk.bend[t] * chunk.bend[t]) * chunk.dbend[t];
          store(a.du + (begin + t) * a.du_stride + c, du, block.channels);
        }
      }
    }
    store(a.dskip + c, dskip, block.channels);
    for (std::int64_t n = 0; n < a.pairs; ++n) {
      block.put(a.ddecay, n, carried[n].ddecay);
      block.put(a.dweight, n, carried[n].dweight);
      if constexpr (liquid) block.put(a.dleak, n, carried[n].dleak);
    }
  }
}

}  // namespace

template <Level level, class T>
void execute(const ComplexScanForward<T>& a) {
  if (a.leak) return forward<true>(a);
  forward<false>(a);
}

template <Level level, class T>
void execute(const ComplexScanBackward<T>& a) {
  if (a.leak) return backward<true>(a);
  backward<false>(a);
}

template void execute<here>(const ComplexScanForward<float>&);
template void execute<here>(const ComplexScanForward<double>&);
template void execute<here>(const ComplexScanForward<bfloat16>&);
template void execute<here>(const ComplexScanBackward<float>&);
template void execute<here>(const ComplexScanBackward<double>&);
template void execute<here>(const ComplexScanBackward<bfloat16>&);

}  // namespace starling::kernels
