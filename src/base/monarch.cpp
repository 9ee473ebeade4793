#include <starling/base/monarch.hpp>

#include <cmath>

namespace starling {

MonarchSizes monarch_sizes(std::int64_t inputs, std::int64_t outputs) {
  const double root = std::sqrt(static_cast<double>(inputs));
  std::int64_t blocks = inputs;  // blocks of one number divide everything
  for (std::int64_t b = 1; b < inputs; ++b) {
    const bool fits = inputs % b == 0 && outputs % (inputs / b) == 0;
    if (fits && std::abs(static_cast<double>(b) - root) < std::abs(static_cast<double>(blocks) - root)) blocks = b;
  }
  const auto block = inputs / blocks;
  return {blocks, block, outputs / block};
}

}  // namespace starling
