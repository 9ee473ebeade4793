// Non-dominated sorting and crowding distance (Deb et al., "A fast and elitist multiobjective genetic algorithm:
// NSGA-II", 2002).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace starling::search {

/// Points of M objectives, row-major in one flat array: all minimised, all finite.
class Points {
 public:
  explicit Points(std::size_t objectives) : objectives_(objectives) {}
  void add(std::span<const double> point);
  /// Removes point i; the last one takes its place.
  void remove(std::size_t i);
  std::size_t size() const { return objectives_ == 0 ? 0 : values_.size() / objectives_; }
  std::size_t objectives() const { return objectives_; }
  std::span<const double> operator[](std::size_t i) const { return {values_.data() + i * objectives_, objectives_}; }

 private:
  std::size_t objectives_;
  std::vector<double> values_;
};

/// a dominates b: nowhere worse, somewhere better.
bool dominates(std::span<const double> a, std::span<const double> b);

/// Rank of every point, 0 for the non-dominated. O(N log N) for two objectives (sweep), O(M N²) else.
std::vector<std::uint32_t> nondominated_ranks(const Points& points);

/// Indices of the non-dominated points, in order.
std::vector<std::size_t> nondominated(const Points& points);

/// Crowding distance of the points `front` (indices) among themselves; infinite at the ends of each objective.
/// Objectives that do not vary count 0. Among equal values of an objective the earlier in `front` is the outer one at
/// both ends, so that only one of several copies of an extreme point is infinite. A front of one point is infinite.
std::vector<double> crowding_distance(const Points& points, std::span<const std::size_t> front);

/// The share of one objective in the crowding distance, for a front whose indices come in ascending order of that
/// objective, ties as above: added to `crowding`, which is indexed like the points.
void add_crowding(const Points& points, std::size_t objective, std::span<const std::size_t> ascending, std::span<double> crowding);

/// Volume dominated by the points and bounded by `reference`, exact. M = 1, 2, 3 by sweep, more by WFG (While et al.
/// 2012).
double hypervolume(const Points& points, std::span<const double> reference);

}  // namespace starling::search
