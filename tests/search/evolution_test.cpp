// Whether the search searches: toy problems with known answers, seeded, at equal budgets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_set>

#include <starling/genome/accounting.hpp>
#include <starling/search/steady_state.hpp>

namespace starling::search {
namespace {

/// Real cache against a made-up loss with a ruggedness of its own: attention and recurrences help where they are early,
/// sharing costs a little.
std::vector<double> toy_objectives(const genome::Genome& genome) {
  const auto account = genome::account(genome::Catalogue::liquid(), genome, {64, 256, 256});
  double loss = 3;
  for (std::size_t i = 0; i < genome.depth(); ++i) {
    const auto& liv = genome.livs[i];
    const double place = static_cast<double>(i) / static_cast<double>(genome.depth());
    switch (liv.liv_class) {
      case 1:
        loss -= 0.25 - 0.1 * place;
        break;
      case 3:
        loss -= 0.20 - 0.05 * place;
        break;
      case 4:
        loss -= 0.16;
        break;
      case 6:
        loss -= 0.05 + 0.08 * place;
        break;
      default:
        loss -= i > 0 && genome.livs[i - 1].liv_class != 8 ? 0.18 : 0.02;
    }
    loss += 0.01 * (liv.featurizer_strategy - 1) + (liv.feature_strategy > 1 ? 0.02 : 0);
  }
  return {loss, static_cast<double>(account.cache.bytes(256)) / 1e6};
}

/// Hypervolume after the budget, with `in_flight` candidates out at a time and results in an order that is not theirs.
double searched(Algorithm algorithm, std::uint64_t seed, std::size_t in_flight = 4) {
  SteadyState::Settings settings;
  settings.breeding.algorithm = algorithm;
  settings.breeding.seed = seed;
  settings.breeding.space.depth = 8;
  settings.evaluations = 240;
  SteadyState search(settings);
  Stream stream(seed, Purpose::test);
  std::vector<std::uint64_t> out;
  Points front(2);
  while (!search.finished()) {
    while (search.wants_candidate() && out.size() < in_flight) {
      Candidate child;
      std::uint32_t attempt = 0;
      do {
        const auto parents = select_parents(settings.breeding, *search.snapshot(), search.next_index(), attempt);
        child = make_child(settings.breeding, parents, search.next_index(), attempt++);
      } while (search.seen(child.hash));
      search.apply_candidate(search.accept(child));
      out.push_back(search.take()->id);
    }
    std::swap(out[stream.below(out.size())], out.back());
    const auto objectives = toy_objectives(search.find(out.back())->genome);
    search.apply_outcome({out.back(), Status::ok, objectives});
    front.add(objectives);
    out.pop_back();
  }
  return hypervolume(front, std::vector<double>{3, 0.6});
}

TEST(Evolution, BeatsRandomSearchAtEqualBudget) {
  int wins = 0;
  double evolved = 0, random = 0;
  constexpr int seeds = 100;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const double a = searched(Algorithm::nsga2, seed), b = searched(Algorithm::random, seed);
    wins += a > b;
    evolved += a / seeds;
    random += b / seeds;
  }
  EXPECT_GE(wins, 0.95 * seeds);
  EXPECT_GT(evolved, 1.04 * random);
}

TEST(Evolution, IsRepeatable) { EXPECT_EQ(searched(Algorithm::nsga2, 5), searched(Algorithm::nsga2, 5)); }

// OneMinMax (Giel & Lehre 2010): n bits, minimise the ones and the zeros; every string is on the front, and the whole
// front is n + 1 vectors. A population of n + 1 holds it only where survival removes copies before it opens gaps. LIVs
// are the bits.
TEST(Evolution, CoversTheWholeFrontOfOneMinMax) {
  constexpr std::size_t bits = 40;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Population population(bits + 1, 2, seed);
    Breeding breeding;
    breeding.seed = seed;
    std::uint64_t bred = 0;
    Stream stream(seed, Purpose::test);
    std::set<std::vector<bool>> seen;
    std::vector<std::vector<bool>> strings{{}};
    const auto evaluate = [&](const std::vector<bool>& string) {
      const auto ones = static_cast<double>(std::count(string.begin(), string.end(), true));
      strings.push_back(string);
      population.insert({strings.size() - 1, {}, {ones, bits - ones}});
    };
    while (strings.size() <= 12'000) {
      std::vector<bool> child(bits);
      if (population.size() <= bits) {
        for (std::size_t i = 0; i < bits; ++i) child[i] = stream.chance(0.5);
      } else {
        const auto parents = select_parents(breeding, {population.members(), strings.size()}, ++bred, 0);
        child = strings[parents.members[0].id()];
        for (std::size_t i = 0; i < bits; ++i) {
          if (stream.chance(1.0 / bits)) child[i] = !child[i];
        }
      }
      if (seen.insert(child).second) evaluate(child);
    }
    std::set<double> covered;
    for (const auto& member : population.members()) covered.insert(member.objectives()[0]);
    EXPECT_EQ(covered.size(), bits + 1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace starling::search
