// Gated linear units (Shazeer 2020, arXiv 2002.05202): y = act(gate) ⊙ value with
//   silu(g) = g / (1 + e^−g),  gelu(g) = g Φ(g) (the exact one, by erf),  relu(g) = max(g, 0), identity(g) = g: SwiGLU, GEGLU, ReGLU, bilinear;
//   dgate = dy ⊙ value ⊙ act'(gate),  dvalue = dy ⊙ act(gate).   relu'(0) = 0.
// One thread per call. float, double and bfloat16.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

enum class Gate { silu, gelu, relu, identity };

/// (rows, width) each; `*_stride` is the distance between rows in elements (gate and value may be the halves of one
/// projection); elements of a row are contiguous. y may be gate or value (same stride).
template <class T>
struct GatedUnitForward {
  const T* gate = nullptr;
  const T* value = nullptr;
  T* y = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t gate_stride = 0;
  std::int64_t value_stride = 0;
  std::int64_t y_stride = 0;
  Gate activation = Gate::silu;
};

/// dgate and dvalue are written; dgate may be gate, dvalue may be value, either may be dy (same strides).
template <class T>
struct GatedUnitBackward {
  const T* gate = nullptr;
  const T* value = nullptr;
  const T* dy = nullptr;
  T* dgate = nullptr;
  T* dvalue = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t gate_stride = 0;
  std::int64_t value_stride = 0;
  std::int64_t dy_stride = 0;
  std::int64_t dgate_stride = 0;
  std::int64_t dvalue_stride = 0;
  Gate activation = Gate::silu;
};

template <Level level, class T>
void execute(const GatedUnitForward<T>& arguments);
template <Level level, class T>
void execute(const GatedUnitBackward<T>& arguments);

template <class T>
void gated_unit_forward(const GatedUnitForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void gated_unit_backward(const GatedUnitBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
