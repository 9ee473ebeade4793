#include <starling/search/population.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <utility>

namespace starling::search {

Population::Population(std::size_t capacity, std::size_t objectives, std::uint64_t seed)
    : capacity_(capacity), objectives_(objectives), seed_(seed), points_(objectives), orders_(objectives) {
  assert(capacity > 0 && objectives > 0);
}

Population::Change Population::insert(Individual individual) {
  assert(individual.objectives.size() == objectives_);
  assert(std::ranges::all_of(individual.objectives, [](double value) { return std::isfinite(value); }));
  ++insertions_;
  add(std::move(individual));
  rank_newest();
  update_crowding();
  if (members_.size() <= capacity_) return {};

  const auto leaving = victim(Stream(seed_, Purpose::survival, insertions_));
  const auto id = members_[leaving].id();
  // Nobody's rank changes: a member of the last front dominates nobody.
  remove(leaving);
  update_crowding();
  return {id};
}

void Population::add(Individual individual) {
  const auto position = members_.size();
  points_.add(individual.objectives);
  members_.push_back({std::make_shared<const Individual>(std::move(individual)), 0, 0});
  for (std::size_t m = 0; m < objectives_; ++m) {
    const auto before = [&](std::size_t a, std::size_t b) {
      return std::pair(points_[a][m], members_[a].id()) < std::pair(points_[b][m], members_[b].id());
    };
    orders_[m].insert(std::upper_bound(orders_[m].begin(), orders_[m].end(), position, before), position);
  }
}

void Population::remove(std::size_t position) {
  const auto last = members_.size() - 1;
  for (auto& order : orders_) {
    order.erase(std::find(order.begin(), order.end(), position));
    if (position != last) *std::find(order.begin(), order.end(), last) = position;
  }
  points_.remove(position);
  std::swap(members_[position], members_[last]);
  members_.pop_back();
}

/// The newest member takes the rank after the last that dominates it. Those of its rank whom it dominates move one rank
/// down, and so on with whom these dominate.
void Population::rank_newest() {
  const auto newest = members_.size() - 1;
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < newest; ++i) {
    if (members_[i].rank >= rank && dominates(points_[i], points_[newest])) rank = members_[i].rank + 1;
  }
  members_[newest].rank = rank;
  const auto begins = rank_begins();
  const auto by_rank = split(orders_[0], begins);
  std::vector<std::size_t> moved{newest}, next;
  for (; !moved.empty() && rank + 1 < begins.size(); ++rank) {
    next.clear();
    for (const auto i : std::span(by_rank).subspan(begins[rank], begins[rank + 1] - begins[rank])) {
      if (std::ranges::any_of(moved, [&](std::size_t j) { return dominates(points_[j], points_[i]); })) next.push_back(i);
    }
    for (const auto i : next) members_[i].rank = rank + 1;
    std::swap(moved, next);
  }
}

/// Where each rank begins in a list of the members by rank; at the end their number.
std::vector<std::size_t> Population::rank_begins() const {
  std::vector<std::size_t> begins(std::ranges::max_element(members_, {}, &Member::rank)->rank + 2, 0);
  for (const auto& member : members_) ++begins[member.rank + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  return begins;
}

/// The positions of `order` by rank, within a rank in the same order.
std::vector<std::size_t> Population::split(const std::vector<std::size_t>& order, std::vector<std::size_t> begins) const {
  std::vector<std::size_t> result(order.size());
  for (const auto position : order) result[begins[members_[position].rank]++] = position;
  return result;
}

/// The one of the last front that leaves: least crowding distance, of those the most frequent objective vector, of
/// those an even draw. Copies of one vector share its fate evenly, since crowding tells them apart by nothing but their
/// order.
std::size_t Population::victim(Stream stream) const {
  const auto last = std::ranges::max_element(members_, {}, &Member::rank)->rank;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& member : members_) {
    if (member.rank == last) least = std::min(least, member.crowding);
  }
  std::map<std::vector<double>, std::vector<std::size_t>> copies;  // of each vector among the most crowded
  for (const auto& member : members_) {
    if (member.rank == last && member.crowding == least) copies.try_emplace(member.objectives());
  }
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].rank != last) continue;
    if (const auto same = copies.find(members_[i].objectives()); same != copies.end()) same->second.push_back(i);
  }
  std::size_t frequency = 0;
  for (const auto& [vector, positions] : copies) frequency = std::max(frequency, positions.size());
  std::erase_if(copies, [&](const auto& entry) { return entry.second.size() < frequency; });
  const auto chosen = std::next(copies.begin(), static_cast<std::ptrdiff_t>(stream.below(copies.size())));
  return chosen->second[stream.below(frequency)];
}

void Population::update_crowding() {
  const auto begins = rank_begins();
  std::vector<double> crowding(members_.size(), 0.0);
  for (std::size_t m = 0; m < objectives_; ++m) {
    const auto by_rank = split(orders_[m], begins);
    for (std::size_t rank = 0; rank + 1 < begins.size(); ++rank) {
      add_crowding(points_, m, std::span(by_rank).subspan(begins[rank], begins[rank + 1] - begins[rank]), crowding);
    }
  }
  for (std::size_t i = 0; i < members_.size(); ++i) members_[i].crowding = crowding[i];
}

}  // namespace starling::search
