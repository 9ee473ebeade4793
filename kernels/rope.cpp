#include <starling/kernels/rope.hpp>

#include <cmath>

namespace starling::kernels {

template <class T>
void rope_table(T* cosine, T* sine, std::int64_t position, std::int64_t length, std::int64_t head_width, double base) {
  const std::int64_t half = head_width / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double frequency = std::pow(base, -static_cast<double>(i) / static_cast<double>(half));
    for (std::int64_t t = 0; t < length; ++t) {
      const double angle = static_cast<double>(position + t) * frequency;
      cosine[t * half + i] = static_cast<T>(std::cos(angle));
      sine[t * half + i] = static_cast<T>(std::sin(angle));
    }
  }
}

template void rope_table<float>(float*, float*, std::int64_t, std::int64_t, std::int64_t, double);
template void rope_table<double>(double*, double*, std::int64_t, std::int64_t, std::int64_t, double);

}  // namespace starling::kernels
