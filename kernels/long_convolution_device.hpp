// Long convolution on a device: the lower triangular Toeplitz product of long_convolution.hpp, entry by entry, on tensor cores
// (toeplitz_cores_device.hpp; double: toeplitz_device.hpp). dx and dkernel are the same product, read and written backwards in time;
// dkernel sums over groups of sequences in a second launch. What lies above the diagonal is left out, not multiplied by zero: no NaN goes
// back in time. In float an infinity becomes a NaN.
//
// T 4096, 768 channels, per sequence and product (a training step has three): T (T + 1) · 768 = 12.9 GFLOP, 6 % more in tiles, each two
// times on tensor cores in bfloat16 (dkernel once, float three times): 0.09 ms (0.05, 0.13) at 300 TFLOP/s of tf32, 0.25 ms without
// them. Floor, bytes: x and y 12.6 MB in bfloat16, the kernel 12.6 MB once for all sequences; this form reads 53 MB of inputs and 120 MB of
// lags, nearly all from the L2 cache. Transforms of 2 T numbers would take 0.4 GFLOP and, in four passes over memory, some 0.03 ms: they
// would win from about T = 1024 on, three times at T = 4096, but a NaN, and by rounding any token, would move the outputs before it.
#pragma once

#include <starling/kernels/long_convolution.hpp>
#include <starling/kernels/toeplitz_cores_device.hpp>
#include <starling/kernels/toeplitz_device.hpp>

#include <type_traits>

namespace starling::kernels::device {

/// dkernel[p] = Σ_groups partials[group, p, channel].
template <class C>
struct SumLags {
  const C* partials;
  LongArray<C> to;
  Index groups;
  Index length;
  Index channels;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(length * channels, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index item = block.item();
    if (item >= length * channels) return;
    C sum = C(0);
    for (Index group = 0; group < groups; ++group) sum += partials[group * length * channels + item];
    *to.at(0, item / channels, item % channels) = sum;
  }
};

/// Few outputs, a block for one of 32 channels: sixteen warps share the tokens, each reads its own once.
template <class T>
struct LongOutputs {
  using C = Compute<T>;
  LongConvolutionForward<T> a;

  static constexpr int most = 8;
  static constexpr int lines = 16;
  static constexpr int under_way = 4;
  static constexpr int threads = lines * warp;
  Index blocks() const { return a.batch * a.outputs * quotient_up(a.channels, warp); }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(C); }

  STARLING_DEVICE void operator()(Block& block) const {
    C* const sums = reinterpret_cast<C*>(block.shared);
    const int index = static_cast<int>(block.index), strips = static_cast<int>(quotient_up(a.channels, warp));
    const int outputs = static_cast<int>(a.outputs);
    const Index channel = index % strips * warp + block.lane();
    const Index output = index / strips % outputs, sequence = index / strips / outputs;
    const Index last = a.length - a.outputs + output;
    C sum = C(0);
    if (channel < a.channels)
      for (Index first = block.thread / warp; first <= last; first += under_way * lines) {
        C x[under_way] = {}, lag[under_way] = {};
        for (int k = 0; k < under_way; ++k) {
          const Index token = first + k * lines;
          if (token > last) continue;
          x[k] = C(a.x[sequence * a.x_batch + token * a.x_stride + channel]);
          lag[k] = a.kernel[(last - token) * a.kernel_stride + channel];
        }
        for (int k = 0; k < under_way; ++k) sum += lag[k] * x[k];
      }
    sums[block.thread] = sum;
    block.wait();
    if (block.thread >= warp || channel >= a.channels) return;
    for (int line = 1; line < lines; ++line) sum += sums[line * warp + block.thread];
    a.y[sequence * a.y_batch + output * a.y_stride + channel] = T(sum);
  }
};

template <class Lag, class T, class Out, class Launcher>
void launch_toeplitz(const Toeplitz<Lag, T, Out>& product, Launcher& launcher) {
  if constexpr (std::is_same_v<T, double>)
    launcher.launch(ToeplitzDirectly<double>{product});
  else
    launcher.launch(ToeplitzOnCores<Lag, T, Out>{product});
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const LongConvolutionForward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  if (a.outputs <= device::LongOutputs<T>::most) return launcher.launch(device::LongOutputs<T>{a});
  device::launch_toeplitz(device::Toeplitz<C, T, T>{{a.kernel, a.kernel_stride, 0},
                                                    {a.x, a.x_stride, a.x_batch},
                                                    {a.y, a.y_stride, a.y_batch},
                                                    a.batch,
                                                    1,
                                                    a.length,
                                                    a.length - a.outputs,
                                                    a.channels},
                          launcher);
}

template <class T, class Launcher>
void launch_all(const LongConvolutionBackward<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  using device::Index, device::LongArray, device::quotient_up;
  if (a.length == 0) return;
  const LongArray<const T> x{a.x, a.x_stride, a.x_batch};
  const LongArray<const C> lags{a.kernel, a.kernel_stride, 0};
  const auto dy = backwards(LongArray<const T>{a.dy, a.dy_stride, a.dy_batch}, a.length);
  const auto dx = backwards(LongArray<T>{a.dx, a.dx_stride, a.dx_batch}, a.length);
  const auto dkernel = backwards(LongArray<C>{a.dkernel, a.dkernel_stride, 0}, a.length);
  launch_toeplitz(device::Toeplitz<C, T, T>{lags, dy, dx, a.batch, 1, a.length, 0, a.channels}, launcher);
  // Where tiles of lags alone do not keep a device busy, sequences are shared out.
  constexpr Index blocks_wanted = 512;
  const Index blocks = device::Toeplitz<T, T, C>{x, dy, dkernel, 1, 1, a.length, 0, a.channels}.blocks(256, 16);
  const Index groups_wanted = device::least(a.batch, quotient_up(blocks_wanted, blocks > 0 ? blocks : 1));
  const Index per_group = groups_wanted > 0 ? quotient_up(a.batch, groups_wanted) : 1;
  const Index groups = quotient_up(a.batch, per_group), elements = a.length * a.channels;
  device::Toeplitz<T, T, C> product{x, dy, dkernel, a.batch, per_group, a.length, 0, a.channels};
  if (groups == 1) return launch_toeplitz(product, launcher);
  product.out = {launcher.template scratch<C>(groups * elements), a.channels, elements};
  launch_toeplitz(product, launcher);
  launcher.launch(device::SumLags<C>{product.out.data, dkernel, groups, a.length, a.channels});
}

}  // namespace starling::kernels
