// Errands: what is added to a run whose search is over or was never begun. The role takes the place of the population: it leases a given
// list of trainings, and where their weights are kept measures them on the test part; there is no breeding.
//
// - A training that loses all its attempts is recorded as killed; a test that does is left out.
// - `control` is told "done" when nothing is left, and a reason when so many trainings in a row were killed that the next would be too.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <starling/actors/interfaces.hpp>
#include <starling/run/journal.hpp>

namespace starling::actors {

struct ErrandSettings {
  std::vector<Job> jobs;  ///< at most one per id; in this order, those that come back first. `attempt` is that of the first lease
  std::uint32_t attempts = 3;
  std::uint32_t give_up_after = 5;  ///< trainings in a row that were killed
  std::chrono::milliseconds least_deadline{3'600'000};
  std::set<std::string> devices{};  ///< that they are trained on
  bool test = false;                ///< measure what was kept on the test part
};

struct ErrandWiring {
  RecorderActor recorder;
  ControlActor control;
};

/// The deadline of these trainings: `of_search`, or four times the mean of the search's own where that is longer, and for a training on more
/// tokens than the search's as much longer.
std::chrono::milliseconds least_deadline_of_errands(std::chrono::milliseconds of_search, std::int64_t tokens_of_search,
                                                    const std::vector<Job>& jobs, const std::vector<run::JournalEntry>& earlier);

PopulationActor::behavior_type errands(PopulationActor::pointer self, ErrandSettings settings, ErrandWiring wiring);

}  // namespace starling::actors
