#include <starling/kernels/rope.hpp>

#include <starling/kernels/simd.hpp>

namespace starling::kernels {

template <Level level, class T>
void execute(const Rope<T>& a) {
  const std::int64_t half = a.head_width / 2;
  const Compute<T> sign = a.inverse ? Compute<T>(-1) : Compute<T>(1);
  for (std::int64_t batch = 0; batch < a.batch; ++batch) {
    for (std::int64_t t = 0; t < a.length; ++t) {
      const Compute<T>* cosine = a.cosine + t * half;
      const Compute<T>* sine = a.sine + t * half;
      for (std::int64_t head = 0; head < a.heads; ++head) {
        const T* x = a.x + batch * a.x_batch_stride + t * a.x_token_stride + head * a.x_head_stride;
        T* y = a.y + batch * a.y_batch_stride + t * a.y_token_stride + head * a.y_head_stride;
        for (std::int64_t i = 0; i < half; i += lanes<T>) {
          const std::int64_t n = half - i;
          const Pack<T> first = load(x + i, n);
          const Pack<T> second = load(x + half + i, n);
          const Pack<T> c = load(cosine + i, n);
          const Pack<T> s = load(sine + i, n) * sign;
          store(y + i, first * c - second * s, n);
          store(y + half + i, second * c + first * s, n);
        }
      }
    }
  }
}

template void execute<here>(const Rope<float>&);
template void execute<here>(const Rope<double>&);
template void execute<here>(const Rope<bfloat16>&);

}  // namespace starling::kernels
