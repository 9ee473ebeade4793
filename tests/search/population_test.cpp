#include <starling/search/population.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace starling::search {
namespace {

Individual individual(std::uint64_t id, std::vector<double> objectives) { return {id, {}, std::move(objectives)}; }

/// The survivors as the reference describes them, recomputed from nothing after every insertion.
class NaivePopulation {
 public:
  void add(std::uint64_t id, std::vector<double> objectives) { members_[id] = std::move(objectives); }
  void remove(std::uint64_t id) { members_.erase(id); }

  struct Worth {
    std::uint32_t rank;
    double crowding;
  };

  std::map<std::uint64_t, Worth> worths() const {
    Points points(members_.begin()->second.size());
    std::vector<std::uint64_t> ids;
    for (const auto& [id, objectives] : members_) {
      points.add(objectives);
      ids.push_back(id);
    }
    const auto ranks = nondominated_ranks(points);
    std::map<std::uint64_t, Worth> result;
    for (std::uint32_t rank = 0; result.size() < ids.size(); ++rank) {
      std::vector<std::size_t> front;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ranks[i] == rank) front.push_back(i);
      }
      const auto crowding = crowding_distance(points, front);
      for (std::size_t i = 0; i < front.size(); ++i) result[ids[front[i]]] = {rank, crowding[i]};
    }
    return result;
  }

  /// Whom the draw may hit.
  std::set<std::uint64_t> victims() const {
    const auto worth = worths();
    std::uint32_t last = 0;
    for (const auto& [id, w] : worth) last = std::max(last, w.rank);
    double least = INFINITY;
    for (const auto& [id, w] : worth) least = w.rank == last ? std::min(least, w.crowding) : least;
    std::map<std::vector<double>, int> frequency;
    for (const auto& [id, objectives] : members_) ++frequency[objectives];
    int highest = 0;
    std::set<std::vector<double>> vectors;
    for (const auto& [id, w] : worth) {
      if (w.rank != last || w.crowding != least) continue;
      const auto& vector = members_.at(id);
      if (frequency[vector] > highest) vectors.clear();
      highest = std::max(highest, frequency[vector]);
      if (frequency[vector] == highest) vectors.insert(vector);
    }
    std::set<std::uint64_t> ids;
    for (const auto& [id, objectives] : members_) {
      if (vectors.contains(objectives)) ids.insert(id);
    }
    return ids;
  }

  std::size_t size() const { return members_.size(); }
  const std::vector<double>& at(std::uint64_t id) const { return members_.at(id); }

 private:
  std::map<std::uint64_t, std::vector<double>> members_;
};

void expect_equal(const Population& population, const NaivePopulation& naive) {
  ASSERT_EQ(population.size(), naive.size());
  const auto worths = naive.worths();
  for (const auto& member : population.members()) {
    ASSERT_TRUE(worths.contains(member.id()));
    const auto& worth = worths.at(member.id());
    EXPECT_EQ(member.objectives(), naive.at(member.id()));
    EXPECT_EQ(member.rank, worth.rank);
    EXPECT_EQ(member.crowding, worth.crowding);
  }
}

TEST(Population, DoesWhatANaiveOneDoes) {
  Stream stream(1, Purpose::test);
  for (std::uint64_t run = 0; run < 60; ++run) {
    const std::size_t objectives = 1 + stream.below(4);
    const std::size_t capacity = 1 + stream.below(20);
    const std::uint64_t levels = stream.chance(0.7) ? 2 + stream.below(10) : 0;
    Population population(capacity, objectives, run);
    NaivePopulation naive;
    // Results come in any order of id.
    std::vector<std::uint64_t> ids(80);
    for (std::size_t i = 0; i < ids.size(); ++i) std::swap(ids[i] = i + 1, ids[stream.below(i + 1)]);
    for (const auto id : ids) {
      std::vector<double> point(objectives);
      for (auto& value : point) value = levels > 0 ? static_cast<double>(stream.below(levels)) : stream.uniform();
      naive.add(id, point);
      const auto victims = naive.victims();
      const auto change = population.insert(individual(id, point));
      ASSERT_EQ(change.removed.has_value(), naive.size() > capacity);
      if (change.removed) {
        ASSERT_TRUE(victims.contains(*change.removed));
        naive.remove(*change.removed);
      }
      expect_equal(population, naive);
      if (HasFailure()) return;
    }
  }
}

TEST(Population, IsAFunctionOfSeedAndInsertions) {
  const auto survivors = [](std::uint64_t seed) {
    Population population(5, 2, seed);
    for (std::uint64_t id = 1; id <= 60; ++id) population.insert(individual(id, {1.0, 1.0}));
    std::set<std::uint64_t> ids;
    for (const auto& member : population.members()) ids.insert(member.id());
    return ids;
  };
  EXPECT_EQ(survivors(1), survivors(1));
  EXPECT_NE(survivors(1), survivors(2));
}

TEST(Population, DropsTheNewcomerWhereItIsTheWorst) {
  Population population(2, 2, 1);
  population.insert(individual(1, {0, 1}));
  population.insert(individual(2, {1, 0}));
  EXPECT_EQ(population.insert(individual(3, {2, 2})).removed, 3u);
  EXPECT_EQ(population.insert(individual(4, {-1, -1})).removed.has_value(), true);
  EXPECT_EQ(population.members().size(), 2u);
}

TEST(Population, PrefersRarerVectorsAndSparesExtremes) {
  // A full front with one vector twice: a copy leaves although others are as crowded.
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Population population(5, 2, seed);
    for (std::uint64_t id = 1; id <= 5; ++id) population.insert(individual(id, {static_cast<double>(id), 6.0 - static_cast<double>(id)}));
    const auto removed = population.insert(individual(6, {1, 5})).removed;
    EXPECT_TRUE(removed == 1u || removed == 6u) << "a copy of the extreme";
    const auto next = population.insert(individual(7, {3, 3})).removed;
    EXPECT_TRUE(next == 3u || next == 7u);
  }
}

TEST(Population, DrawsEvenlyAmongCopies) {
  std::map<std::uint64_t, int> removed;
  constexpr int runs = 3000;
  for (std::uint64_t seed = 0; seed < runs; ++seed) {
    Population population(4, 2, seed);
    population.insert(individual(1, {0, 2}));
    population.insert(individual(2, {2, 0}));
    population.insert(individual(3, {1, 1}));
    population.insert(individual(4, {1, 1}));
    ++removed[population.insert(individual(5, {1, 1})).removed.value()];
  }
  ASSERT_EQ(removed.size(), 3u);
  for (const auto& [id, count] : removed) EXPECT_NEAR(count, runs / 3, 100) << id;
}

TEST(Population, OfOneObjectiveKeepsTheBest) {
  Stream stream(2, Purpose::test);
  Population population(7, 1, 3);
  std::vector<double> all;
  for (std::uint64_t id = 1; id <= 300; ++id) {
    all.push_back(stream.uniform());
    population.insert(individual(id, {all.back()}));
  }
  std::ranges::sort(all);
  std::vector<double> kept;
  for (const auto& member : population.members()) kept.push_back(member.objectives()[0]);
  std::ranges::sort(kept);
  EXPECT_EQ(kept, std::vector<double>(all.begin(), all.begin() + 7));
}

}  // namespace
}  // namespace starling::search
