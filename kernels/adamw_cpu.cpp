#include <starling/kernels/adamw.hpp>

#include <starling/kernels/simd.hpp>

namespace starling::kernels {

template <Level level, class T>
void execute(const AdamW<T>& a) {
  const T beta1 = static_cast<T>(a.beta1);
  const T beta2 = static_cast<T>(a.beta2);
  const T rest1 = static_cast<T>(1 - a.beta1);
  const T rest2 = static_cast<T>(1 - a.beta2);
  const double step = static_cast<double>(a.step);
  const T rate = static_cast<T>(a.learning_rate / (1 - __builtin_pow(a.beta1, step)));
  const T inverse_root = static_cast<T>(1 / __builtin_sqrt(1 - __builtin_pow(a.beta2, step)));
  const T keep = static_cast<T>(1 - a.learning_rate * a.weight_decay);
  const T epsilon = static_cast<T>(a.epsilon);
  const T scale = static_cast<T>(a.gradient_scale * (a.gradient_factor ? *a.gradient_factor : 1.0));
  for (std::int64_t i = 0; i < a.count; i += lanes<T>) {
    const std::int64_t n = a.count - i;
    const Pack<T> g = load(a.gradient + i, n) * scale;
    const Pack<T> m = load(a.first + i, n) * beta1 + g * rest1;
    const Pack<T> v = load(a.second + i, n) * beta2 + g * g * rest2;
    store(a.first + i, m, n);
    store(a.second + i, v, n);
    const Pack<T> p = load(a.parameter + i, n) * keep - m * rate / (square_root<T>(v) * inverse_root + epsilon);
    store(a.parameter + i, p, n);
    if constexpr (sizeof(T) == sizeof(float))
      if (a.rounded) store(a.rounded + i, p, n);
  }
}

template <Level level, class T>
void execute(const AdamWList<T>& a) {
  for (std::int64_t i = 0; i < a.count; ++i) execute<level>(a.tensors[i]);
}

template <Level level, class T>
void execute(const SumOfSquares<T>& a) {
  constexpr int chains = 8;
  Pack<double> sums[chains] = {};
  std::int64_t i = 0;
  constexpr std::int64_t block = chains * lanes<double>;
  for (; i + block <= a.count; i += block)
    for (int k = 0; k < chains; ++k) {
      using Narrow = typename VectorOf<T, lanes<double>* static_cast<std::int64_t>(sizeof(T))>::Type;
      Narrow narrow;
      __builtin_memcpy(&narrow, a.x + i + k * lanes<double>, sizeof(narrow));
      const Pack<double> x = __builtin_convertvector(narrow, Pack<double>);
      sums[k] = x * x + sums[k];
    }
  for (int k = 1; k < chains; ++k) sums[0] += sums[k];
  double total = sum<double>(sums[0]);
  for (; i < a.count; ++i) total += static_cast<double>(a.x[i]) * static_cast<double>(a.x[i]);
  *a.sum = total;
}

template void execute<here>(const AdamW<float>&);
template void execute<here>(const AdamW<double>&);
template void execute<here>(const AdamWList<float>&);
template void execute<here>(const AdamWList<double>&);
template void execute<here>(const SumOfSquares<float>&);
template void execute<here>(const SumOfSquares<double>&);

}  // namespace starling::kernels
