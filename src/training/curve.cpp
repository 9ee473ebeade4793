#include <starling/training/curve.hpp>

namespace starling::training {

// The latest point always stands at the end and gives way to the next one unless its step belongs to the grid: a training that ends early
// has its last step all the same.
void Curve::add(const Point& point) {
  if (!points_.empty() && !keeps(points_.back().step)) points_.pop_back();
  points_.push_back(point);
}

bool Curve::keeps(std::int64_t step) const {
  if (steps_ <= most) return true;
  // One of most−1 grid points, ⌊i (steps−1) / (most−2)⌋, i = 0 … most−2; the point above is the spare one.
  constexpr std::int64_t intervals = most - 2;
  const std::int64_t i = ((step - 1) * intervals + steps_ - 2) / (steps_ - 1);
  return i * (steps_ - 1) / intervals == step - 1;
}

}  // namespace starling::training
