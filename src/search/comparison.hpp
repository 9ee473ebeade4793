// How much of what is worth having a search has found: hypervolume as a share of a box that several searches have in common.
#pragma once

#include <span>
#include <vector>

#include <starling/search/pareto.hpp>

namespace starling::search {

/// From `ideal`, the best value of each objective on any of the fronts, to `reference`: the worst value on any of them, and a tenth of the
/// way from the best one further, so that the ends of fronts count too (Ishibuchi et al., "How to specify a reference point in hypervolume
/// calculation", 2018). Where all are equal in an objective, a tenth of its size further (of 1, where it is 0).
struct Box {
  std::vector<double> ideal;
  std::vector<double> reference;
};

/// Of the members of all fronts, at least one.
Box box_of(const Points& members);

/// Share of the box that each of the prefixes of `points` dominates: element i counts points 0 to i. In [0, 1], never falling. What is
/// outside the box counts nothing; a point better than its ideal counts like the ideal.
std::vector<double> hypervolume_shares(const Points& points, const Box& box);

}  // namespace starling::search
