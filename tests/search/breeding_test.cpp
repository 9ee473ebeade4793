#include <starling/search/breeding.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include <starling/base/error.hpp>
#include <starling/genome/validity.hpp>

namespace starling::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Member member(std::uint64_t id, std::uint32_t rank, double crowding, std::string_view genome = "11111-81111-11111-81111-11111-81111") {
  return {std::make_shared<const Individual>(Individual{id, genome::parse_genome(genome), {}}), rank, crowding};
}

/// Genomes of the default space as members.
std::vector<Member> random_members(std::size_t count) {
  const genome::Space space;
  Stream stream(11, Purpose::test);
  std::vector<Member> members;
  for (std::uint64_t id = 1; id <= count; ++id) {
    const auto genome = genome::canonical(*space.catalogue, genome::sample(space, stream));
    members.push_back({std::make_shared<const Individual>(Individual{id, genome, {}}), static_cast<std::uint32_t>(id % 3), 0.1});
  }
  return members;
}

bool equal(const Candidate& a, const Candidate& b) {
  return a.genome == b.genome && a.hash == b.hash && a.parents == b.parents && a.origin == b.origin && a.repairs == b.repairs &&
         a.changed_genes == b.changed_genes && a.index == b.index && a.attempt == b.attempt;
}

TEST(SelectParents, GivesNoneWithoutMembersOrForRandomSearch) {
  Breeding breeding;
  EXPECT_THAT(select_parents(breeding, {}, 1, 0).members, IsEmpty());
  breeding.algorithm = Algorithm::random;
  EXPECT_THAT(select_parents(breeding, {random_members(5), 5}, 1, 0).members, IsEmpty());
}

TEST(SelectParents, GivesTwoDifferentMembers) {
  const Breeding breeding;
  EXPECT_EQ(select_parents(breeding, {random_members(1), 1}, 1, 0).members.size(), 1u);
  for (std::uint64_t index = 0; index < 500; ++index) {
    const auto parents = select_parents(breeding, {random_members(2 + index % 4), 9}, index, 0).members;
    ASSERT_EQ(parents.size(), 2u);
    EXPECT_NE(parents[0].id(), parents[1].id());
  }
}

TEST(SelectParents, PrefersRankThenCrowdingAndIsFairOtherwise) {
  Breeding breeding;
  const Snapshot snapshot{{member(1, 1, 9), member(2, 0, 0.5), member(3, 0, 2), member(4, 0, 2)}, 4};
  std::map<std::uint64_t, int> first;
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i) ++first[select_parents(breeding, snapshot, static_cast<std::uint64_t>(i), 0).members[0].id()];
  // Three rounds of four: 1 wins where only it is drawn, 2 where only 1 and 2 are; 3 and 4 share the rest.
  const auto share = [&](std::uint64_t id) { return first[id] / double{draws}; };
  EXPECT_NEAR(share(1), 1 / 64.0, 0.004);
  EXPECT_NEAR(share(2), 7 / 64.0, 0.009);
  EXPECT_NEAR(share(3), 28 / 64.0, 0.014);
  EXPECT_NEAR(share(4), 28 / 64.0, 0.014);
}

TEST(SelectParents, OfATournamentOfOneIsEven) {
  Breeding breeding;
  breeding.tournament = 1;
  std::map<std::uint64_t, int> second;
  constexpr int draws = 12000;
  for (std::uint64_t i = 0; i < draws; ++i) ++second[select_parents(breeding, {random_members(3), 3}, i, 0).members[1].id()];
  for (const auto& [id, count] : second) EXPECT_NEAR(count / double{draws}, 1 / 3.0, 0.02) << id;
}

TEST(MakeChild, IsAFunctionOfItsArguments) {
  const Breeding breeding;
  const Snapshot snapshot{random_members(10), 10};
  for (std::uint64_t index = 1; index < 200; ++index) {
    const auto child = [&](std::uint64_t i, std::uint32_t attempt) {
      return make_child(breeding, select_parents(breeding, snapshot, i, attempt), i, attempt);
    };
    const auto again = child(index, 3);
    EXPECT_TRUE(equal(child(index, 3), again));
    EXPECT_FALSE(equal(child(index, 4), again));
    EXPECT_FALSE(equal(child(index + 1, 3), again));
  }
}

TEST(MakeChild, FillsInEverythingItKnows) {
  const Breeding breeding;
  const auto& catalogue = *breeding.space.catalogue;
  const auto members = random_members(10);
  int repaired = 0;
  for (std::uint64_t index = 1; index < 500; ++index) {
    const auto parents = select_parents(breeding, {members, 10}, index, 2);
    const auto child = make_child(breeding, parents, index, 2);
    EXPECT_EQ(child.index, index);
    EXPECT_EQ(child.attempt, 2u);
    EXPECT_EQ(child.origin, Origin::crossover);
    EXPECT_THAT(child.parents, ElementsAre(parents.members[0].id(), parents.members[1].id()));
    EXPECT_THAT(genome::findings(catalogue, child.genome), IsEmpty());
    EXPECT_TRUE(genome::mixes_and_maps(catalogue, child.genome));
    EXPECT_EQ(child.genome, genome::canonical(catalogue, child.genome));
    EXPECT_EQ(child.hash, genome::phenotype_hash(catalogue, child.genome));
    EXPECT_EQ(child.changed_genes, genome::distance(parents.members[0].genome(), child.genome));
    repaired += child.repairs.total() > 0;
  }
  EXPECT_GT(repaired, 0);
}

TEST(MakeChild, OfASpaceWithSegmentsHasThemAndCountsTheirRepairs) {
  Breeding breeding;
  auto& space = breeding.space;
  space.operators = space.featurizers = true;
  breeding.crossover_points = 239;  // of 239 places
  EXPECT_NO_THROW(require_breedable(breeding));
  breeding.crossover_points = 240;
  EXPECT_THROW(require_breedable(breeding), UserError);
  breeding.crossover_points = 2;
  std::vector<Member> members;
  std::uint32_t operators = 0, featurizers = 0;
  int with_segments = 0, shared = 0;
  for (std::uint64_t index = 1; index < 300; ++index) {
    const auto child = make_child(breeding, select_parents(breeding, {members, index}, index, 0), index, 0);
    EXPECT_EQ(child.genome, make_child(breeding, select_parents(breeding, {members, index}, index, 0), index, 0).genome);
    EXPECT_THAT(genome::findings(*space.catalogue, child.genome), IsEmpty());
    EXPECT_EQ(child.genome, genome::canonical(*space.catalogue, child.genome));
    for (const auto& liv : child.genome.livs) {
      with_segments += genome::has_segments(liv);
      shared += genome::has_segments(liv) && (liv.featurizer_strategy > 1 || liv.feature_strategy > 1);
    }
    operators += child.repairs.illegal_operator;
    featurizers += child.repairs.illegal_featurizer;
    members.push_back({std::make_shared<const Individual>(Individual{index, child.genome, {}}), 0, 1.0});
    if (members.size() > 16) members.erase(members.begin());
  }
  EXPECT_GT(with_segments, 600);
  EXPECT_GT(shared, 0);
  EXPECT_GT(operators, 0u);
  EXPECT_GT(featurizers, 0u);
}

TEST(MakeChild, OfASpaceWithPathsRoutesAndVariableDepthHasAllOfThem) {
  Breeding breeding;
  auto& space = breeding.space;
  space.paths = space.routes = space.variable_depth = true;
  breeding.crossover_points = 40;  // of 41 places
  EXPECT_NO_THROW(require_breedable(breeding));
  std::vector<Member> members;
  int parallel = 0, routed = 0, empty = 0;
  for (std::uint64_t index = 1; index < 400; ++index) {
    const auto child = make_child(breeding, select_parents(breeding, {members, index}, index, 0), index, 0);
    EXPECT_THAT(genome::findings(*space.catalogue, child.genome), IsEmpty());
    EXPECT_EQ(child.genome, genome::canonical(*space.catalogue, child.genome));
    EXPECT_EQ(child.genome.depth(), space.depth);
    for (const auto& liv : child.genome.livs) {
      parallel += liv.path > 0;
      routed += liv.route > 0;
      empty += genome::is_empty(liv);
    }
    if (members.size() < 16) members.push_back({std::make_shared<const Individual>(Individual{index, child.genome, {}}), 0, 1.0});
  }
  EXPECT_GT(parallel, 100);
  EXPECT_GT(routed, 100);
  EXPECT_GT(empty, 5);
}

TEST(MakeChild, OfNoParentsIsRandomAndOfOneAMutation) {
  const Breeding breeding;
  const auto random = make_child(breeding, {}, 5, 0);
  EXPECT_EQ(random.origin, Origin::random);
  EXPECT_THAT(random.parents, IsEmpty());
  EXPECT_EQ(random.changed_genes, 0);

  const auto mutation = make_child(breeding, {random_members(1)}, 5, 0);
  EXPECT_EQ(mutation.origin, Origin::mutation);
  EXPECT_THAT(mutation.parents, ElementsAre(1u));

  const auto twins = make_child(breeding, {{member(4, 0, 1), member(7, 0, 1)}}, 5, 0);
  EXPECT_EQ(twins.origin, Origin::mutation) << "equal parents have nothing to cross";
  EXPECT_THAT(twins.parents, ElementsAre(4u));
}

TEST(MakeChild, WithoutMutationTakesItsGenesFromItsParents) {
  Breeding breeding;
  breeding.mutation = 0;
  // Nothing here shares, so that neither repair nor canonical form has anything to do.
  const auto a = member(1, 0, 1, "11111-81111-11111-81111-11111-81111"), b = member(2, 0, 1, "81111-41111-81111-41111-81111-41111");
  for (std::uint64_t index = 0; index < 300; ++index) {
    const auto child = make_child(breeding, {{a, b}}, index, 0);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_TRUE(child.genome.livs[i] == a.genome().livs[i] || child.genome.livs[i] == b.genome().livs[i]);
    }
  }
}

TEST(RequireBreedable, RefusesValuesOutOfRange) {
  const auto refused = [](auto change) {
    Breeding breeding;
    change(breeding);
    EXPECT_THROW(require_breedable(breeding), UserError);
  };
  EXPECT_NO_THROW(require_breedable(Breeding{}));
  refused([](Breeding& b) { b.population = 0; });
  refused([](Breeding& b) { b.tournament = 0; });
  refused([](Breeding& b) { b.mutation = 1.1; });
  refused([](Breeding& b) { b.mutation = std::nan(""); });
  refused([](Breeding& b) { b.crossover_points = 30; });
  refused([](Breeding& b) { b.crossover_points = -1; });
  refused([](Breeding& b) { b.space.depth = 1; });
}

}  // namespace
}  // namespace starling::search
