// Conversions and the residual stream on a device: a thread for four elements.
//
// Floor, bytes per element: Convert 6, AddTo 10.
#pragma once

#include <starling/kernels/convert.hpp>
#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

template <class From, class To, int n>
struct ConvertRows {
  Convert<From, To> a;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(a.rows * (a.width / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index row = block.item() / (a.width / n), i = block.item() % (a.width / n) * n;
    if (row >= a.rows) return;
    float values[n];
    load<n>(a.x + row * a.x_stride + i, values);
    store<n>(a.y + row * a.y_stride + i, values);
  }
};

template <int n>
struct AddParts {
  AddTo a;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(a.count / n, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index i = block.item() * n;
    if (i >= a.count) return;
    float values[n], part[n];
    load<n>(a.x + i, values);
    load<n>(a.part + i, part);
    for (int k = 0; k < n; ++k) values[k] += part[k];
    store<n>(a.y + i, values);
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class From, class To, class Launcher>
void launch_all(const Convert<From, To>& a, Launcher& launcher) {
  if (a.width == 0) return;
  if (device::all_aligned<4>(a.x, a.y, a.width, a.x_stride, a.y_stride)) return launcher.launch(device::ConvertRows<From, To, 4>{a});
  launcher.launch(device::ConvertRows<From, To, 1>{a});
}

template <class Launcher>
void launch_all(const AddTo& a, Launcher& launcher) {
  if (device::all_aligned<4>(a.x, a.part, a.y, a.count)) return launcher.launch(device::AddParts<4>{a});
  launcher.launch(device::AddParts<1>{a});
}

}  // namespace starling::kernels
