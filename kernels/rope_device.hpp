// Rotary position embedding on a device: a thread for four pairs of neighbours (two in double), both halves of them.
//
// Floor, bytes per element (bfloat16): 4; the table, read once per head, stays in the caches.
#pragma once

#include <starling/kernels/device.hpp>
#include <starling/kernels/rope.hpp>

namespace starling::kernels::device {

template <class T, int n>
struct RotatePairs {
  Rope<T> a;

  static constexpr int threads = 256;
  STARLING_DEVICE Index half() const { return a.head_width / 2; }
  Index blocks() const { return quotient_up(a.batch * a.length * a.heads * (half() / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    using C = Compute<T>;
    const Index distance = half(), groups = distance / n;
    const Index i = block.item() % groups * n, row = block.item() / groups;
    const Index head = row % a.heads, token = row / a.heads % a.length, batch = row / a.heads / a.length;
    if (batch >= a.batch) return;
    const T* const x = a.x + batch * a.x_batch_stride + token * a.x_token_stride + head * a.x_head_stride + i;
    T* const y = a.y + batch * a.y_batch_stride + token * a.y_token_stride + head * a.y_head_stride + i;
    C first[n], second[n], cosine[n], sine[n];
    load<n>(x, first);
    load<n>(x + distance, second);
    load<n>(a.cosine + token * distance + i, cosine);
    load<n>(a.sine + token * distance + i, sine);
    for (int k = 0; k < n; ++k) {
      const C s = a.inverse ? -sine[k] : sine[k], of_first = first[k];
      first[k] = of_first * cosine[k] - second[k] * s;
      second[k] = second[k] * cosine[k] + of_first * s;
    }
    store<n>(y, first);
    store<n>(y + distance, second);
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const Rope<T>& a, Launcher& launcher) {
  constexpr int n = 16 / sizeof(Compute<T>);
  if (a.heads == 0 || a.length == 0 || a.head_width == 0) return;
  if (device::all_aligned<n>(a.x, a.y, a.cosine, a.sine, a.head_width / 2, a.x_batch_stride, a.x_token_stride, a.x_head_stride,
                             a.y_batch_stride, a.y_token_stride, a.y_head_stride))
    return launcher.launch(device::RotatePairs<T, n>{a});
  launcher.launch(device::RotatePairs<T, 1>{a});
}

}  // namespace starling::kernels
