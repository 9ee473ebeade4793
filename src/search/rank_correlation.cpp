#include <starling/search/rank_correlation.hpp>

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace starling::search {
namespace {

int order_of(double left, double right) { return left < right ? -1 : left > right ? 1 : 0; }

}  // namespace

std::optional<double> kendall_tau(std::span<const double> a, std::span<const double> b) {
  assert(a.size() == b.size());
  std::int64_t agreement = 0, ordered_in_a = 0, ordered_in_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const int in_a = order_of(a[i], a[j]), in_b = order_of(b[i], b[j]);
      agreement += in_a * in_b;
      ordered_in_a += in_a != 0;
      ordered_in_b += in_b != 0;
    }
  }
  if (ordered_in_a == 0 || ordered_in_b == 0) return std::nullopt;
  // A root of each: their product would overflow for a hundred thousand values.
  return static_cast<double>(agreement) / (std::sqrt(static_cast<double>(ordered_in_a)) * std::sqrt(static_cast<double>(ordered_in_b)));
}

}  // namespace starling::search
