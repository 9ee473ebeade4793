#include <starling/kernels/gated_unit.hpp>

#include <starling/kernels/activations.hpp>

namespace starling::kernels {
namespace {

template <Gate gate, class T>
void forward(const GatedUnitForward<T>& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const T* g = a.gate + r * a.gate_stride;
    const T* value = a.value + r * a.value_stride;
    T* y = a.y + r * a.y_stride;
    for (std::int64_t i = 0; i < a.width; i += lanes<T>) {
      const std::int64_t n = a.width - i;
      store(y + i, activate<gate, Compute<T>>(load(g + i, n)).value * load(value + i, n), n);
    }
  }
}

template <Gate gate, class T>
void backward(const GatedUnitBackward<T>& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const T* g = a.gate + r * a.gate_stride;
    const T* value = a.value + r * a.value_stride;
    const T* dy = a.dy + r * a.dy_stride;
    T* dgate = a.dgate + r * a.dgate_stride;
    T* dvalue = a.dvalue + r * a.dvalue_stride;
    for (std::int64_t i = 0; i < a.width; i += lanes<T>) {
      const std::int64_t n = a.width - i;
      const Activated<Compute<T>> act = activate<gate, Compute<T>>(load(g + i, n));
      const Pack<T> upstream = load(dy + i, n);
      const Pack<T> v = load(value + i, n);
      store(dgate + i, upstream * v * act.slope, n);
      store(dvalue + i, upstream * act.value, n);
    }
  }
}

}  // namespace

template <Level level, class T>
void execute(const GatedUnitForward<T>& a) {
  switch (a.activation) {
    case Gate::silu:
      return forward<Gate::silu>(a);
    case Gate::gelu:
      return forward<Gate::gelu>(a);
    case Gate::relu:
      return forward<Gate::relu>(a);
    case Gate::identity:
      return forward<Gate::identity>(a);
  }
}

template <Level level, class T>
void execute(const GatedUnitBackward<T>& a) {
  switch (a.activation) {
    case Gate::silu:
      return backward<Gate::silu>(a);
    case Gate::gelu:
      return backward<Gate::gelu>(a);
    case Gate::relu:
      return backward<Gate::relu>(a);
    case Gate::identity:
      return backward<Gate::identity>(a);
  }
}

template void execute<here>(const GatedUnitForward<float>&);
template void execute<here>(const GatedUnitForward<double>&);
template void execute<here>(const GatedUnitForward<bfloat16>&);
template void execute<here>(const GatedUnitBackward<float>&);
template void execute<here>(const GatedUnitBackward<double>&);
template void execute<here>(const GatedUnitBackward<bfloat16>&);

}  // namespace starling::kernels
