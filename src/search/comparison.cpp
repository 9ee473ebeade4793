#include <starling/search/comparison.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace starling::search {
namespace {

/// The point in units of the box: ideal 0, reference 1.
std::vector<double> in_box(std::span<const double> point, const Box& box) {
  std::vector<double> scaled(point.size());
  for (std::size_t m = 0; m < point.size(); ++m) {
    scaled[m] = std::max(0.0, (point[m] - box.ideal[m]) / (box.reference[m] - box.ideal[m]));
  }
  return scaled;
}

bool dominates_or_equals(std::span<const double> a, std::span<const double> b) {
  return std::ranges::equal(a, b, [](double left, double right) { return left <= right; });
}

/// Takes the point in where none of the front is as good, and out what it dominates.
bool enter(Points& front, std::span<const double> point) {
  for (std::size_t i = 0; i < front.size(); ++i) {
    if (dominates_or_equals(front[i], point)) return false;
  }
  for (std::size_t i = front.size(); i-- > 0;) {
    if (dominates(point, front[i])) front.remove(i);
  }
  front.add(point);
  return true;
}

}  // namespace

Box box_of(const Points& members) {
  assert(members.size() > 0);
  const auto first = members[0];
  Box box{{first.begin(), first.end()}, {first.begin(), first.end()}};
  for (std::size_t i = 1; i < members.size(); ++i) {
    for (std::size_t m = 0; m < members.objectives(); ++m) {
      box.ideal[m] = std::min(box.ideal[m], members[i][m]);
      box.reference[m] = std::max(box.reference[m], members[i][m]);
    }
  }
  for (std::size_t m = 0; m < members.objectives(); ++m) {
    double range = box.reference[m] - box.ideal[m];
    if (range == 0) range = box.ideal[m] == 0 ? 1 : std::abs(box.ideal[m]);
    box.reference[m] += range / 10;
  }
  return box;
}

std::vector<double> hypervolume_shares(const Points& points, const Box& box) {
  const std::vector<double> corner(points.objectives(), 1);
  std::vector<double> shares;
  shares.reserve(points.size());
  Points front(points.objectives());
  double share = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    // The sweeps of two volumes may differ by rounding where the true one grew by less.
    if (enter(front, in_box(points[i], box))) share = std::max(share, hypervolume(front, corner));
    shares.push_back(share);
  }
  return shares;
}

}  // namespace starling::search
