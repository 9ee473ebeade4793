#include <starling/kernels/convert.hpp>

#include <starling/kernels/simd.hpp>

namespace starling::kernels {

template <Level level, class From, class To>
void execute(const Convert<From, To>& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const From* x = a.x + r * a.x_stride;
    To* y = a.y + r * a.y_stride;
    for (std::int64_t i = 0; i < a.width; i += lanes<float>) store(y + i, load(x + i, a.width - i), a.width - i);
  }
}

template <Level level>
void execute(const AddTo& a) {
  for (std::int64_t i = 0; i < a.count; i += lanes<float>) {
    const std::int64_t n = a.count - i;
    store(a.y + i, load(a.x + i, n) + load(a.part + i, n), n);
  }
}

template void execute<here>(const Convert<float, bfloat16>&);
template void execute<here>(const Convert<bfloat16, float>&);
template void execute<here>(const AddTo&);

}  // namespace starling::kernels
