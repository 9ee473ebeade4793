// Gated units on a device: a thread for 16 bytes of each array.
//
// Floor, bytes per element (bfloat16): forward 6, backward 10.
#pragma once

#include <starling/kernels/device.hpp>
#include <starling/kernels/gated_unit.hpp>

namespace starling::kernels::device {

template <class C>
struct GateValue {
  C value;
  C slope;
};
template <class C>
STARLING_DEVICE GateValue<C> activate(Gate gate, C x) {
  switch (gate) {
    case Gate::silu: {
      const C s = sigmoid(x);
      return {x * s, s * (x * (C(1) - s) + C(1))};
    }
    case Gate::gelu: {
      const C cdf = C(0.5) * complementary_error(x * C(-0.70710678118654752440));
      return {x * cdf, x * exponential(x * x * C(-0.5)) * C(0.39894228040143267794) + cdf};
    }
    case Gate::relu:
      // x ≤ 0 and not x > 0, so that a NaN stays one.
      return x <= C(0) ? GateValue<C>{C(0), C(0)} : GateValue<C>{x, C(1)};
    case Gate::identity:
      break;
  }
  return {x, C(1)};
}

template <class T, int n>
struct GateRows {
  GatedUnitForward<T> a;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(a.rows * (a.width / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index row = block.item() / (a.width / n), i = block.item() % (a.width / n) * n;
    if (row >= a.rows) return;
    Compute<T> gate[n], value[n];
    load<n>(a.gate + row * a.gate_stride + i, gate);
    load<n>(a.value + row * a.value_stride + i, value);
    for (int k = 0; k < n; ++k) value[k] *= activate(a.activation, gate[k]).value;
    store<n>(a.y + row * a.y_stride + i, value);
  }
};

template <class T, int n>
struct GateRowsBackward {
  GatedUnitBackward<T> a;

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(a.rows * (a.width / n), threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index row = block.item() / (a.width / n), i = block.item() % (a.width / n) * n;
    if (row >= a.rows) return;
    Compute<T> gate[n], value[n], dy[n];
    load<n>(a.gate + row * a.gate_stride + i, gate);
    load<n>(a.value + row * a.value_stride + i, value);
    load<n>(a.dy + row * a.dy_stride + i, dy);
    for (int k = 0; k < n; ++k) {
      const auto act = activate(a.activation, gate[k]);
      gate[k] = dy[k] * value[k] * act.slope;
      value[k] = dy[k] * act.value;
    }
    store<n>(a.dgate + row * a.dgate_stride + i, gate);
    store<n>(a.dvalue + row * a.dvalue_stride + i, value);
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const GatedUnitForward<T>& a, Launcher& launcher) {
  constexpr int n = 16 / sizeof(T);
  if (a.width == 0) return;
  if (device::all_aligned<n>(a.gate, a.value, a.y, a.width, a.gate_stride, a.value_stride, a.y_stride))
    return launcher.launch(device::GateRows<T, n>{a});
  launcher.launch(device::GateRows<T, 1>{a});
}

template <class T, class Launcher>
void launch_all(const GatedUnitBackward<T>& a, Launcher& launcher) {
  constexpr int n = 16 / sizeof(T);
  if (a.width == 0) return;
  if (device::all_aligned<n>(a.gate, a.value, a.dy, a.dgate, a.dvalue, a.width, a.gate_stride, a.value_stride, a.dy_stride, a.dgate_stride,
                             a.dvalue_stride))
    return launcher.launch(device::GateRowsBackward<T, n>{a});
  launcher.launch(device::GateRowsBackward<T, 1>{a});
}

}  // namespace starling::kernels
