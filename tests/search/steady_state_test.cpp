#include <starling/search/steady_state.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <variant>

#include <starling/base/error.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/validity.hpp>

namespace starling::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

SteadyState::Settings settings(std::size_t population = 4, std::uint64_t evaluations = 20) {
  SteadyState::Settings result;
  result.breeding.population = population;
  result.evaluations = evaluations;
  return result;
}

/// Breeds the next candidate as the actors do: try after try until the genome is new.
Candidate breed(const SteadyState& search) {
  const auto& breeding = search.settings().breeding;
  for (std::uint32_t attempt = 0;; ++attempt) {
    const auto parents = select_parents(breeding, *search.snapshot(), search.next_index(), attempt);
    auto child = make_child(breeding, parents, search.next_index(), attempt);
    if (!search.seen(child.hash)) return search.accept(std::move(child));
  }
}

Candidate baseline(const SteadyState& search, std::string_view name) {
  const auto& space = search.settings().breeding.space;
  Candidate candidate;
  candidate.origin = Origin::baseline;
  candidate.name = name;
  candidate.genome = genome::baseline(*space.catalogue, name, space.depth);
  candidate.hash = genome::phenotype_hash(*space.catalogue, candidate.genome);
  return search.accept(std::move(candidate));
}

std::uint64_t add(SteadyState& search) {
  const auto candidate = breed(search);
  search.apply_candidate(candidate);
  return candidate.id;
}

Outcome ok(std::uint64_t id, std::vector<double> objectives) { return {id, Status::ok, std::move(objectives)}; }

TEST(SteadyState, GivesIdsIndicesAndGenerationsInOrder) {
  SteadyState search(settings(4));
  EXPECT_EQ(search.next_index(), 1u);
  for (std::uint64_t id = 1; id <= 6; ++id) {
    const auto candidate = breed(search);
    EXPECT_EQ(candidate.id, id);
    EXPECT_EQ(candidate.index, id);
    EXPECT_EQ(candidate.generation, static_cast<double>(id - 1) / 4);
    search.apply_candidate(candidate);
    EXPECT_TRUE(search.seen(candidate.hash));
    EXPECT_EQ(search.find(id)->genome, candidate.genome);
    search.take();
    search.apply_outcome(ok(id, {1.0, static_cast<double>(id)}));
  }
  EXPECT_EQ(search.find(7), nullptr);
}

TEST(SteadyState, BreedsRandomGenomesUntilTheCohortIsIn) {
  SteadyState search(settings(3));
  for (int i = 0; i < 5; ++i) add(search);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    EXPECT_THAT(search.snapshot()->members, IsEmpty());
    EXPECT_EQ(breed(search).origin, Origin::random);
    search.apply_outcome(ok(id, {1.0 * static_cast<double>(id), 2.0}));
  }
  EXPECT_EQ(search.snapshot()->members.size(), 3u);
  EXPECT_EQ(search.snapshot()->committed, 3u);
  EXPECT_EQ(breed(search).origin, Origin::crossover);
}

TEST(SteadyState, FailuresCountForTheCohortButDoNotBreed) {
  SteadyState search(settings(3));
  for (int i = 0; i < 3; ++i) add(search);
  search.apply_outcome({1, Status::diverged, {}});
  search.apply_outcome({2, Status::killed, {}});
  search.apply_outcome({3, Status::infeasible, {}});
  EXPECT_EQ(search.final_count(), 3u);
  EXPECT_EQ(search.population().size(), 0u);
  EXPECT_THAT(search.front(), IsEmpty());
  EXPECT_EQ(breed(search).origin, Origin::random) << "nobody survived to breed from";
}

TEST(SteadyState, APictureStaysAsItWasTaken) {
  SteadyState search(settings(1));
  add(search);
  search.apply_outcome(ok(1, {1, 1}));
  const auto before = search.snapshot();
  EXPECT_EQ(search.snapshot(), before) << "no commit, no new picture";
  add(search);
  search.apply_outcome(ok(2, {0, 0}));
  EXPECT_EQ(before->members.at(0).id(), 1u);
  EXPECT_EQ(search.snapshot()->members.at(0).id(), 2u);
}

TEST(SteadyState, EndsWhenTheBudgetIsUsedAndEveryCandidateIsFinal) {
  SteadyState search(settings(2, 3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(search.wants_candidate());
    add(search);
  }
  EXPECT_FALSE(search.wants_candidate()) << "the budget is handed out";
  search.apply_outcome(ok(2, {1, 1}));
  search.apply_outcome({1, Status::diverged, {}});
  EXPECT_FALSE(search.finished());
  search.apply_outcome({3, Status::killed, {}});
  EXPECT_TRUE(search.finished());
  EXPECT_EQ(search.final_count(), 3u);
}

TEST(SteadyState, StopsBreedingWhereAskedTo) {
  SteadyState search(settings(2, 100));
  EXPECT_FALSE(search.finished());
  const auto id = add(search);
  search.stop_breeding();
  EXPECT_FALSE(search.wants_candidate());
  EXPECT_FALSE(search.finished());
  search.apply_outcome(ok(id, {1, 1}));
  EXPECT_TRUE(search.finished());
}

TEST(SteadyState, BaselinesNeitherCountNorEnterNorBlock) {
  SteadyState search(settings(2, 2));
  const auto transformer = baseline(search, "transformer++");
  EXPECT_EQ(transformer.id, 1u);
  search.apply_candidate(transformer);
  EXPECT_FALSE(search.seen(transformer.hash)) << "the search may find it by itself";
  EXPECT_EQ(search.next_index(), 1u);
  EXPECT_EQ(add(search), 2u);
  EXPECT_EQ(add(search), 3u);
  EXPECT_FALSE(search.wants_candidate());
  search.apply_outcome(ok(2, {5, 5}));
  search.apply_outcome(ok(3, {6, 4}));
  EXPECT_FALSE(search.finished()) << "the baseline is out";
  const auto commit = search.apply_outcome(ok(1, {0, 0}));
  EXPECT_TRUE(commit.counted);
  EXPECT_FALSE(commit.entered);
  EXPECT_EQ(search.final_count(), 2u);
  EXPECT_THAT(search.front(), ElementsAre(2u, 3u));
  EXPECT_TRUE(search.finished());
}

TEST(SteadyState, LeasesInOrderOfIdAndReturnedOnesFirst) {
  SteadyState search(settings());
  for (int i = 0; i < 4; ++i) add(search);
  EXPECT_EQ(search.take()->id, 1u);
  EXPECT_EQ(search.take()->id, 2u);
  EXPECT_EQ(search.take()->id, 3u);
  EXPECT_EQ(search.leased(), 3u);
  EXPECT_TRUE(search.apply_lost_attempt(3));
  search.give_back(2);
  search.give_back(2);
  EXPECT_EQ(search.leased(), 1u);
  EXPECT_EQ(search.attempts_used(2), 0u) << "what was not started costs nothing";
  EXPECT_EQ(search.attempts_used(3), 1u);
  EXPECT_EQ(search.take()->id, 2u);
  EXPECT_EQ(search.take()->id, 3u);
  EXPECT_EQ(search.take()->id, 4u);
  EXPECT_FALSE(search.has_queued());
  EXPECT_FALSE(search.take().has_value());
}

TEST(SteadyState, LeasesTheFirstThatIsWantedAndKeepsTheOthersQueued) {
  SteadyState search(settings());
  for (int i = 0; i < 3; ++i) add(search);
  EXPECT_EQ(search.take([](std::uint64_t id) { return id >= 2; })->id, 2u);
  EXPECT_FALSE(search.take([](std::uint64_t id) { return id == 2; }).has_value()) << "it is out";
  EXPECT_EQ(search.take()->id, 1u);
  EXPECT_EQ(search.take()->id, 3u);
}

TEST(SteadyState, GivesUpAfterTheLastAttempt) {
  SteadyState search(settings());
  add(search);
  for (int attempt = 0; attempt < 2; ++attempt) {
    search.take();
    EXPECT_TRUE(search.apply_lost_attempt(1));
  }
  search.take();
  EXPECT_FALSE(search.apply_lost_attempt(1));
  EXPECT_FALSE(search.has_queued());
  EXPECT_FALSE(search.is_final(1));
  EXPECT_THAT(search.out_of_attempts(), ElementsAre(1u));
  search.give_back(1);
  EXPECT_FALSE(search.has_queued());
  EXPECT_TRUE(search.apply_outcome({1, Status::killed, {}}).counted);
  EXPECT_TRUE(search.is_final(1));
  EXPECT_THAT(search.out_of_attempts(), IsEmpty());
  EXPECT_EQ(search.leased(), 0u);
}

TEST(SteadyState, TheFirstOutcomeCounts) {
  SteadyState search(settings());
  add(search);
  EXPECT_FALSE(search.apply_outcome({1, Status::superseded, {}}).counted) << "superseded by a result that is not here is no end";
  EXPECT_TRUE(search.apply_outcome(ok(1, {1, 1})).counted);
  const auto second = search.apply_outcome(ok(1, {0, 0}));
  EXPECT_FALSE(second.counted);
  EXPECT_FALSE(second.entered);
  EXPECT_EQ(search.final_count(), 1u);
  EXPECT_EQ(search.population().members().at(0).objectives(), (std::vector<double>{1, 1}));
}

TEST(SteadyState, ALateResultOfALostLeaseEndsTheCandidate) {
  SteadyState search(settings());
  add(search);
  search.take();
  search.apply_lost_attempt(1);
  EXPECT_TRUE(search.has_queued());
  EXPECT_TRUE(search.apply_outcome(ok(1, {1, 1})).counted);
  EXPECT_FALSE(search.has_queued()) << "nobody needs to evaluate it again";
  EXPECT_TRUE(search.apply_lost_attempt(1)) << "nor to record it as killed";
  EXPECT_FALSE(search.has_queued());
  search.give_back(1);
  EXPECT_FALSE(search.has_queued());
}

TEST(SteadyState, ReportsWhoEnteredAndWhoLeft) {
  SteadyState search(settings(2));
  for (int i = 0; i < 5; ++i) add(search);
  auto commit = search.apply_outcome(ok(1, {2, 2}));
  EXPECT_TRUE(commit.entered);
  EXPECT_EQ(commit.removed, std::nullopt);
  EXPECT_THAT(commit.left_front, IsEmpty());

  search.apply_outcome(ok(2, {1, 3}));
  commit = search.apply_outcome(ok(3, {4, 4}));
  EXPECT_FALSE(commit.entered);
  EXPECT_EQ(commit.removed, std::nullopt) << "the newcomer was never a member";
  EXPECT_THAT(commit.left_front, ElementsAre(3u));

  commit = search.apply_outcome(ok(4, {1, 1}));
  EXPECT_TRUE(commit.entered);
  EXPECT_TRUE(commit.removed.has_value());
  EXPECT_THAT(commit.left_front, UnorderedElementsAre(1u, 2u));

  commit = search.apply_outcome(ok(5, {1, 1}));
  EXPECT_THAT(commit.left_front, IsEmpty());
  EXPECT_THAT(search.front(), ElementsAre(4u, 5u)) << "equal vectors are both kept";
}

TEST(SteadyState, AnObjectiveThatIsNotFiniteEntersNothing) {
  SteadyState search(settings(2));
  add(search);
  const auto commit = search.apply_outcome(ok(1, {std::numeric_limits<double>::quiet_NaN(), 0}));
  EXPECT_TRUE(commit.counted);
  EXPECT_FALSE(commit.entered);
  EXPECT_THAT(commit.left_front, ElementsAre(1u));
  EXPECT_EQ(search.population().size(), 0u);
  EXPECT_THAT(search.front(), IsEmpty());
}

TEST(SteadyState, RefusesWhatContradictsItself) {
  SteadyState search(settings());
  EXPECT_THROW(search.apply_outcome(ok(1, {1, 1})), Failure);
  EXPECT_THROW(search.apply_lost_attempt(1), Failure);
  EXPECT_THROW(search.give_back(1), Failure);
  auto candidate = breed(search);
  search.apply_candidate(candidate);
  EXPECT_THROW(search.apply_candidate(candidate), Failure) << "twice the same id";
  candidate.id = 3;
  EXPECT_THROW(search.apply_candidate(candidate), Failure) << "a gap";
  EXPECT_THROW(search.apply_outcome(ok(1, {1})), Failure) << "too few objectives";
  EXPECT_FALSE(search.is_final(1));
}

TEST(SteadyState, RefusesSettingsThatAllowNoSearch) {
  auto none = settings();
  none.objectives = 0;
  EXPECT_THROW(SteadyState{none}, UserError);
  none = settings();
  none.attempts = 0;
  EXPECT_THROW(SteadyState{none}, UserError);
  none = settings();
  none.breeding.population = 0;
  EXPECT_THROW(SteadyState{none}, UserError);
}

/// What the journal holds for the search.
struct Lost {
  std::uint64_t id;
};
using Event = std::variant<Candidate, Lost, Outcome>;

void replay(SteadyState& search, const Event& event) {
  if (const auto* candidate = std::get_if<Candidate>(&event)) search.apply_candidate(*candidate);
  if (const auto* lost = std::get_if<Lost>(&event)) search.apply_lost_attempt(lost->id);
  if (const auto* outcome = std::get_if<Outcome>(&event)) search.apply_outcome(*outcome);
}

std::vector<std::tuple<std::uint64_t, std::uint32_t, double>> worths(const SteadyState& search) {
  std::vector<std::tuple<std::uint64_t, std::uint32_t, double>> result;
  for (const auto& member : search.population().members()) result.emplace_back(member.id(), member.rank, member.crowding);
  return result;
}

void expect_same(const SteadyState& a, const SteadyState& b) {
  EXPECT_EQ(worths(a), worths(b)) << "also in the order that tournaments draw from";
  EXPECT_EQ(a.front(), b.front());
  EXPECT_EQ(a.next_index(), b.next_index());
  EXPECT_EQ(a.final_count(), b.final_count());
  EXPECT_EQ(a.wants_candidate(), b.wants_candidate());
  EXPECT_EQ(a.finished(), b.finished());
  EXPECT_EQ(a.out_of_attempts(), b.out_of_attempts());
  if (!a.wants_candidate()) return;
  const auto x = breed(a), y = breed(b);
  EXPECT_EQ(x.id, y.id);
  EXPECT_EQ(x.genome, y.genome);
  EXPECT_EQ(x.attempt, y.attempt);
  EXPECT_EQ(x.generation, y.generation);
}

/// A search under everything that may happen to it. Whatever is not journalled (leases, returns) is there as well.
class Storm {
 public:
  explicit Storm(std::uint64_t seed) : search(make(seed)), stream_(seed, Purpose::test) {}

  static SteadyState::Settings make(std::uint64_t seed) {
    auto result = settings(2 + seed % 7, 40);
    result.breeding.seed = seed;
    result.objectives = 1 + seed % 3;
    return result;
  }

  void step() {
    const auto dice = stream_.below(10);
    if (dice < 3 && search.wants_candidate()) record(breed(search));
    if (dice == 3 && search.next_index() < 4) record(baseline(search, "striped-mamba"));
    if (dice == 4 || dice == 5) {
      if (const auto candidate = search.take()) leased_.push_back(candidate->id);
    }
    for (const auto id : search.out_of_attempts()) record(Outcome{id, Status::killed, {}});
    if (leased_.empty()) return;
    const auto id = leased_[stream_.below(leased_.size())];
    if (dice == 6) search.give_back(id);
    if (dice == 7 && stream_.chance(0.5) && !search.is_final(id)) record(Lost{id});
    if (dice >= 8) record(outcome(id));  // also late, double and after a loss
  }

  SteadyState search;
  std::vector<Event> journal;

 private:
  void record(Event event) {
    journal.push_back(event);
    replay(search, event);
  }

  Outcome outcome(std::uint64_t id) {
    if (search.is_final(id)) return {id, Status::superseded, {}};
    if (stream_.chance(0.2)) return {id, Status::diverged, {}};
    std::vector<double> objectives(search.settings().objectives);
    for (auto& value : objectives) value = static_cast<double>(stream_.below(6));
    return ok(id, objectives);
  }

  Stream stream_;
  std::vector<std::uint64_t> leased_;
};

TEST(SteadyState, IsAFunctionOfItsJournal) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Storm storm(seed);
    for (int i = 0; i < 4000 && !storm.search.finished(); ++i) {
      storm.step();
      if (i % 97 != 0) continue;
      SteadyState resumed(Storm::make(seed));
      for (const auto& event : storm.journal) replay(resumed, event);
      expect_same(storm.search, resumed);
      EXPECT_EQ(resumed.leased(), 0u);
      // Everyone who is neither final nor given up waits to be evaluated again.
      std::size_t waiting = 0, open = 0;
      for (std::uint64_t id = 1; resumed.find(id) != nullptr; ++id) open += !resumed.is_final(id);
      while (resumed.take()) ++waiting;
      EXPECT_EQ(waiting + resumed.out_of_attempts().size(), open);
      if (HasFailure()) return;
    }
    EXPECT_TRUE(storm.search.finished());
    EXPECT_EQ(storm.search.final_count(), 40u);
  }
}

TEST(SteadyState, ArchiveIsTheFrontOfEverythingThatEnded) {
  Stream stream(5, Purpose::test);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto options = settings(3, 60);
    options.objectives = 1 + seed % 4;
    SteadyState search(options);
    Points points(options.objectives);
    std::vector<std::uint64_t> kept;  // followed by what each commit reports
    for (std::uint64_t id = 1; id <= 60; ++id) {
      add(search);
      std::vector<double> point(options.objectives);
      for (auto& value : point) value = static_cast<double>(stream.below(9));
      points.add(point);
      kept.push_back(id);
      for (const auto left : search.apply_outcome(ok(id, point)).left_front) ASSERT_EQ(std::erase(kept, left), 1u);
      std::vector<std::uint64_t> expected;
      for (const auto i : nondominated(points)) expected.push_back(i + 1);
      ASSERT_EQ(search.front(), expected);
      ASSERT_EQ(kept, expected);
    }
  }
}

TEST(SteadyState, KnowsEveryGenomeItAccepted) {
  auto options = settings(4, 60);
  options.breeding.space.depth = 3;
  SteadyState search(options);
  std::map<std::string, std::uint64_t> genomes;
  while (search.wants_candidate()) {
    const auto id = add(search);
    const auto& candidate = *search.find(id);
    EXPECT_TRUE(genomes.emplace(genome::to_text(candidate.genome), id).second);
    EXPECT_TRUE(search.seen(candidate.hash));
    search.apply_outcome(ok(id, {static_cast<double>(id % 7), static_cast<double>(id % 5)}));
    EXPECT_TRUE(search.seen(candidate.hash)) << "also after its end";
  }
  EXPECT_EQ(genomes.size(), 60u);
}

}  // namespace
}  // namespace starling::search
