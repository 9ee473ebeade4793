#include <starling/kernels/cross_entropy.hpp>

namespace starling::kernels {

std::int64_t counted_targets(const std::int64_t* targets, std::int64_t rows) {
  std::int64_t count = 0;
  for (std::int64_t r = 0; r < rows; ++r) count += targets[r] != ignored_target;
  return count;
}

}  // namespace starling::kernels
