#include <starling/search/pareto.hpp>

#include <algorithm>
#include <cassert>
#include <limits>
#include <map>
#include <numeric>

namespace starling::search {
namespace {

using Indices = std::vector<std::size_t>;

using Keyed = std::pair<double, std::size_t>;

/// Indices by one objective, ties by index.
Indices order_by(const Points& points, std::size_t objective) {
  std::vector<Keyed> keyed(points.size());
  for (std::size_t i = 0; i < keyed.size(); ++i) keyed[i] = {points[i][objective], i};
  std::sort(keyed.begin(), keyed.end());
  Indices order(keyed.size());
  std::transform(keyed.begin(), keyed.end(), order.begin(), [](const Keyed& key) { return key.second; });
  return order;
}

/// Equal points stand together, and whatever dominates a point stands before it.
Indices lexicographic_order(const Points& points) {
  auto order = order_by(points, 0);
  const auto less = [&](std::size_t a, std::size_t b) {
    const auto p = points[a], q = points[b];
    const auto [x, y] = std::mismatch(p.begin(), p.end(), q.begin());
    return x == p.end() ? a < b : *x < *y;
  };
  // The first objective is sorted; runs of equal ones are left.
  for (auto run = order.begin(); run != order.end();) {
    const auto end = std::find_if(run, order.end(), [&](std::size_t i) { return points[i][0] != points[*run][0]; });
    std::sort(run, end, less);
    run = end;
  }
  return order;
}

/// Two objectives (and one, as two equal ones): in lexicographic order a front's last point has its least second
/// objective, and dominates whatever any of the front does. Dominance by fronts is monotone, so that the first front
/// that does not dominate a point is found by bisection.
std::vector<std::uint32_t> ranks_by_sweep(const Points& points) {
  std::vector<std::uint32_t> ranks(points.size());
  Indices last;  // of each front
  const auto second = points.objectives() - 1;
  for (const auto i : lexicographic_order(points)) {
    const auto point = points[i];
    const auto front = std::partition_point(last.begin(), last.end(), [&](std::size_t j) {
      const auto other = points[j];
      return other[second] < point[second] || (other[second] == point[second] && other[0] < point[0]);
    });
    ranks[i] = static_cast<std::uint32_t>(front - last.begin());
    if (front == last.end()) {
      last.push_back(i);
    } else {
      *front = i;
    }
  }
  return ranks;
}

/// Efficient non-dominated sort (Zhang et al. 2015): in lexicographic order a point can only be dominated by earlier
/// ones, and belongs to the first front without such a one; bisection as above. O(M N²) at worst.
std::vector<std::uint32_t> ranks_by_insertion(const Points& points) {
  std::vector<std::uint32_t> ranks(points.size());
  std::vector<Indices> fronts;
  for (const auto i : lexicographic_order(points)) {
    const auto dominates_point = [&](const Indices& front) {
      return std::any_of(front.rbegin(), front.rend(), [&](std::size_t j) { return dominates(points[j], points[i]); });
    };
    auto front = std::partition_point(fronts.begin(), fronts.end(), dominates_point);
    if (front == fronts.end()) front = fronts.emplace(fronts.end());
    front->push_back(i);
    ranks[i] = static_cast<std::uint32_t>(front - fronts.begin());
  }
  return ranks;
}

/// Area dominated by points of two objectives below `reference`.
double area(const Points& points, const Indices& order, std::span<const double> reference) {
  double sum = 0, bound = reference[1];
  for (const auto i : order) {
    const auto point = points[i];
    if (point[1] >= bound) continue;
    sum += (reference[0] - point[0]) * (bound - point[1]);
    bound = point[1];
  }
  return sum;
}

/// The points that lie strictly below the reference everywhere; the others dominate no volume.
Points inside(const Points& points, std::span<const double> reference) {
  Points result(points.objectives());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto point = points[i];
    if (std::equal(point.begin(), point.end(), reference.begin(), std::less<>{})) result.add(point);
  }
  return result;
}

/// The union of rectangles [x, ∞) × [y, ∞) below a reference, as a staircase: x rises, y falls. O(log N) amortised per
/// insertion.
class Staircase {
 public:
  explicit Staircase(std::span<const double> reference) : reference_{reference[0], reference[1]} {}

  double area() const { return area_; }

  void insert(double x, double y) {
    auto next = steps_.upper_bound(x);
    if (next != steps_.begin() && std::prev(next)->second <= y) return;
    // Upper bounds of the part that is new: it reaches right to the next lower step.
    double left = x;
    double top = next == steps_.begin() ? reference_[1] : std::prev(next)->second;
    if (next != steps_.begin() && std::prev(next)->first == x) --next;
    while (next != steps_.end() && next->second >= y) {
      area_ += (next->first - left) * (top - y);
      left = next->first;
      top = next->second;
      next = steps_.erase(next);
    }
    area_ += ((next == steps_.end() ? reference_[0] : next->first) - left) * (top - y);
    steps_.emplace_hint(next, x, y);
  }

 private:
  double reference_[2];
  double area_ = 0;
  std::map<double, double> steps_;
};

/// Slices along the third objective: between one point and the next the area of all points up to here.
double volume_by_sweep(const Points& points, std::span<const double> reference) {
  const auto order = order_by(points, 2);
  Staircase staircase(reference);
  double sum = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto point = points[order[i]];
    staircase.insert(point[0], point[1]);
    sum += staircase.area() * ((i + 1 < order.size() ? points[order[i + 1]][2] : reference[2]) - point[2]);
  }
  return sum;
}

Points nondominated_subset(const Points& points) {
  Points result(points.objectives());
  for (const auto i : nondominated(points)) result.add(points[i]);
  return result;
}

/// `points` lie inside of the reference.
double volume(const Points& points, std::span<const double> reference) {
  if (points.size() == 0) return 0;
  if (points.objectives() == 1) {
    const auto first = order_by(points, 0).front();
    return reference[0] - points[first][0];
  }
  if (points.objectives() == 2) return area(points, order_by(points, 0), reference);
  if (points.objectives() == 3) return volume_by_sweep(points, reference);

  // WFG: the sum of what each point dominates alone among itself and those before it. In order of the last objective
  // those before it, limited to the point's box, all have its last coordinate, which therefore factors out.
  const std::size_t last = points.objectives() - 1;
  const auto lower = reference.first(last);
  const auto order = order_by(points, last);
  double sum = 0;
  std::vector<double> limited(last);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto point = points[order[i]];
    double box = 1;
    for (std::size_t m = 0; m < last; ++m) box *= lower[m] - point[m];
    Points limits(last);
    for (std::size_t j = 0; j < i; ++j) {
      const auto other = points[order[j]];
      std::transform(point.begin(), point.end() - 1, other.begin(), limited.begin(), [](double a, double b) { return std::max(a, b); });
      limits.add(limited);
    }
    const double covered = last > 3 ? volume(nondominated_subset(limits), lower) : volume(limits, lower);
    sum += (box - covered) * (reference[last] - point[last]);
  }
  return sum;
}

}  // namespace

void Points::add(std::span<const double> point) {
  assert(point.size() == objectives_);
  values_.insert(values_.end(), point.begin(), point.end());
}

void Points::remove(std::size_t i) {
  assert(i < size());
  std::copy_n(values_.end() - static_cast<std::ptrdiff_t>(objectives_), objectives_,
              values_.begin() + static_cast<std::ptrdiff_t>(i * objectives_));
  values_.resize(values_.size() - objectives_);
}

bool dominates(std::span<const double> a, std::span<const double> b) {
  assert(a.size() == b.size());
  bool better = false;
  for (std::size_t m = 0; m < a.size(); ++m) {
    if (a[m] > b[m]) return false;
    better |= a[m] < b[m];
  }
  return better;
}

std::vector<std::uint32_t> nondominated_ranks(const Points& points) {
  return points.objectives() <= 2 ? ranks_by_sweep(points) : ranks_by_insertion(points);
}

std::vector<std::size_t> nondominated(const Points& points) {
  const auto ranks = nondominated_ranks(points);
  Indices front;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] == 0) front.push_back(i);
  }
  return front;
}

void add_crowding(const Points& points, std::size_t objective, std::span<const std::size_t> ascending, std::span<double> crowding) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (ascending.empty()) return;
  const auto value = [&](std::size_t position) { return points[ascending[position]][objective]; };
  const std::size_t last = ascending.size() - 1;
  const double range = value(last) - value(0);
  if (range == 0) {
    if (last == 0) crowding[ascending[0]] = infinity;
    return;
  }
  // Copies of the highest value come in reverse: the first of them is the end, the others are inside of it.
  std::size_t top = last;
  while (value(top - 1) == value(last)) --top;
  crowding[ascending[0]] = infinity;
  crowding[ascending[top]] = infinity;
  for (std::size_t i = 1; i < top; ++i) crowding[ascending[i]] += (value(i + 1) - value(i - 1)) / range;
  if (top < last) crowding[ascending[last]] += (value(last) - value(top - 1)) / range;
}

std::vector<double> crowding_distance(const Points& points, std::span<const std::size_t> front) {
  std::vector<double> of_points(points.size(), 0.0);
  std::vector<Keyed> keyed(front.size());
  Indices ascending(front.size());
  for (std::size_t m = 0; m < points.objectives(); ++m) {
    for (std::size_t i = 0; i < front.size(); ++i) keyed[i] = {points[front[i]][m], i};
    std::sort(keyed.begin(), keyed.end());
    std::transform(keyed.begin(), keyed.end(), ascending.begin(), [&](const Keyed& key) { return front[key.second]; });
    add_crowding(points, m, ascending, of_points);
  }
  std::vector<double> crowding(front.size());
  std::transform(front.begin(), front.end(), crowding.begin(), [&](std::size_t i) { return of_points[i]; });
  return crowding;
}

double hypervolume(const Points& points, std::span<const double> reference) {
  assert(reference.size() == points.objectives());
  const auto relevant = inside(points, reference);
  return points.objectives() > 3 ? volume(nondominated_subset(relevant), reference) : volume(relevant, reference);
}

}  // namespace starling::search
