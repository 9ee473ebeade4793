// RMSNorm on a device: a warp for a row, whose second reading comes from the first cache. The gradient of the weight is gathered in
// shared memory, a line for each warp, then over blocks; how many blocks there are depends on the shape alone.
//
// Floor, bytes per element (float): forward 8, backward 12; with bfloat16 y and dy of a float row 6 and 10.
#pragma once

#include <starling/kernels/device_sums.hpp>
#include <starling/kernels/rms_norm.hpp>

namespace starling::kernels::device {

template <class T, class X, int n>
struct NormaliseRows {
  RmsNormForward<T, X> a;

  static constexpr int threads = 128;
  Index blocks() const { return quotient_up(a.rows, threads / warp); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    using C = Compute<T>;
    const Index row = block.item() / warp;
    if (row >= a.rows) return;
    const X* const x = a.x + row * a.width;
    T* const y = a.y + row * a.width;
    C squares = C(0);
    for (Index i = block.lane() * n; i < a.width; i += warp * n) {
      C v[n];
      load<n>(x + i, v);
      for (int k = 0; k < n; ++k) squares += v[k] * v[k];
    }
    const C inverse = C(1) / square_root(block.warp_sum(squares) / static_cast<C>(a.width) + a.epsilon);
    if (a.inverse_rms && block.lane() == 0) a.inverse_rms[row] = inverse;
    for (Index i = block.lane() * n; i < a.width; i += warp * n) {
      C v[n], weight[n];
      load<n>(x + i, v);
      load<n>(a.weight + i, weight);
      for (int k = 0; k < n; ++k) v[k] *= inverse * weight[k];
      store<n>(y + i, v);
    }
  }
};

template <class T, class X, int n, int warps>
struct NormaliseRowsBackward {
  using C = Compute<T>;
  RmsNormBackward<T, X> a;
  C* partials;  // (blocks, width), null where dweight is
  Index grid;

  static constexpr int threads = warps * warp;
  Index blocks() const { return grid; }
  std::size_t shared_bytes() const { return partials ? warps * static_cast<std::size_t>(a.width) * sizeof(C) : 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    // Lane l has columns [l n, l n + n) and every 32 n from there on, here and below: no other thread meets its sums.
    const int line = block.thread / warp;
    C* const sums = reinterpret_cast<C*>(block.shared) + line * a.width;
    if (partials)
      for (Index i = block.lane() * n; i < a.width; i += warp * n)
        for (int k = 0; k < n; ++k) sums[i + k] = C(0);
    for (Index row = block.index * warps + line; row < a.rows; row += grid * warps) {
      const X* const x = a.x + row * a.width;
      const T* const dy = a.dy + row * a.width;
      X* const dx = a.dx + row * a.width;
      const C inverse = a.inverse_rms[row];
      C products = C(0);
      for (Index i = block.lane() * n; i < a.width; i += warp * n) {
        C v[n], d[n], weight[n];
        load<n>(x + i, v);
        load<n>(dy + i, d);
        load<n>(a.weight + i, weight);
        for (int k = 0; k < n; ++k) {
          const C product = v[k] * d[k];
          products += product * weight[k];
          if (partials) sums[i + k] += product * inverse;
        }
      }
      const C mean = block.warp_sum(products) / static_cast<C>(a.width) * inverse * inverse;
      for (Index i = block.lane() * n; i < a.width; i += warp * n) {
        C v[n], d[n], weight[n];
        load<n>(x + i, v);
        load<n>(dy + i, d);
        load<n>(a.weight + i, weight);
        for (int k = 0; k < n; ++k) v[k] = (d[k] * weight[k] - v[k] * mean) * inverse;
        store<n>(dx + i, v);
      }
    }
    if (!partials) return;
    block.wait();
    const C* const all = reinterpret_cast<const C*>(block.shared);
    for (Index i = block.thread; i < a.width; i += threads) {
      C sum = C(0);
      for (int w = 0; w < warps; ++w) sum += all[w * a.width + i];
      partials[block.index * a.width + i] = sum;
    }
  }
};

template <int n, int warps, class T, class X, class Launcher>
void launch_norm_backward(const RmsNormBackward<T, X>& a, Launcher& launcher) {
  using C = Compute<T>;
  // 512: four blocks for each multiprocessor of an H100, however many rows.
  const Index grid = least(quotient_up(a.rows, 4 * warps), 512);
  C* const partials = a.dweight ? launcher.template scratch<C>(grid * a.width) : nullptr;
  launcher.launch(NormaliseRowsBackward<T, X, n, warps>{a, partials, grid});
  if (a.dweight) launcher.launch(SumPartials<C>{partials, a.dweight, grid, a.width});
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class X, class Launcher>
void launch_all(const RmsNormForward<T, X>& a, Launcher& launcher) {
  if (device::all_aligned<4>(a.x, a.weight, a.y, a.width)) return launcher.launch(device::NormaliseRows<T, X, 4>{a});
  launcher.launch(device::NormaliseRows<T, X, 1>{a});
}

/// width · sizeof(Compute<T>) ≤ 160 KiB, what a block of an A100 may share.
template <class T, class X, class Launcher>
void launch_all(const RmsNormBackward<T, X>& a, Launcher& launcher) {
  if (a.rows == 0) return;
  const bool bundles = device::all_aligned<4>(a.x, a.weight, a.dy, a.dx, a.width);
  constexpr std::int64_t shared_by_four = 96 * 1024 / (4 * static_cast<std::int64_t>(sizeof(Compute<T>)));
  if (a.width <= shared_by_four) {
    if (bundles) return device::launch_norm_backward<4, 4>(a, launcher);
    return device::launch_norm_backward<1, 4>(a, launcher);
  }
  device::launch_norm_backward<1, 1>(a, launcher);
}

}  // namespace starling::kernels
