#include <starling/kernels/rms_norm.hpp>

#include <starling/kernels/simd.hpp>

namespace starling::kernels {

template <Level level, class T, class X>
void execute(const RmsNormForward<T, X>& a) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const X* x = a.x + r * a.width;
    T* y = a.y + r * a.width;
    Pack<T> squares{};
    for (std::int64_t i = 0; i < a.width; i += lanes<T>) {
      const Pack<T> v = load(x + i, a.width - i);
      squares = v * v + squares;
    }
    const C inverse = C(1) / square_root<C>(splat(sum<C>(squares) / static_cast<C>(a.width) + a.epsilon))[0];
    if (a.inverse_rms) a.inverse_rms[r] = inverse;
    for (std::int64_t i = 0; i < a.width; i += lanes<T>) {
      const std::int64_t n = a.width - i;
      store(y + i, load(x + i, n) * inverse * load(a.weight + i, n), n);
    }
  }
}

template <Level level, class T, class X>
void execute(const RmsNormBackward<T, X>& a) {
  using C = Compute<T>;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const X* x = a.x + r * a.width;
    const T* dy = a.dy + r * a.width;
    X* dx = a.dx + r * a.width;
    const C inverse = a.inverse_rms[r];
    Pack<T> products{};
    for (std::int64_t i = 0; i < a.width; i += lanes<T>) {
      const std::int64_t n = a.width - i;
      const Pack<T> weighted = load(dy + i, n) * load(x + i, n);
      products = weighted * load(a.weight + i, n) + products;
      if (a.dweight) store(a.dweight + i, weighted * inverse + load(a.dweight + i, n), n);
    }
    const C mean = sum<C>(products) / static_cast<C>(a.width) * inverse * inverse;
    for (std::int64_t i = 0; i < a.width; i += lanes<T>) {
      const std::int64_t n = a.width - i;
      store(dx + i, (load(dy + i, n) * load(a.weight + i, n) - load(x + i, n) * mean) * inverse, n);
    }
  }
}

template void execute<here>(const RmsNormForward<float>&);
template void execute<here>(const RmsNormForward<double>&);
template void execute<here>(const RmsNormForward<bfloat16>&);
template void execute<here>(const RmsNormForward<bfloat16, float>&);
template void execute<here>(const RmsNormBackward<float>&);
template void execute<here>(const RmsNormBackward<double>&);
template void execute<here>(const RmsNormBackward<bfloat16>&);
template void execute<here>(const RmsNormBackward<bfloat16, float>&);

}  // namespace starling::kernels
