#include <starling/kernels/dropout_bits.hpp>

namespace starling::kernels {

// The multiplications of Philox, 32 × 32 → 64 bits, are the same at every level.
template <Level level, class T>
void execute(const Dropout<T>& a) {
  const std::int64_t blocks = (a.elements + dropout_neighbours - 1) / dropout_neighbours;
  for (std::int64_t sequence = 0; sequence < a.sequences; ++sequence)
    for (std::int64_t block = 0; block < blocks; ++block) drop(a, sequence, block);
}

template void execute<Level::baseline>(const Dropout<float>&);
template void execute<Level::baseline>(const Dropout<double>&);
template void execute<Level::v3>(const Dropout<float>&);
template void execute<Level::v3>(const Dropout<double>&);
template void execute<Level::v4>(const Dropout<float>&);
template void execute<Level::v4>(const Dropout<double>&);

}  // namespace starling::kernels
