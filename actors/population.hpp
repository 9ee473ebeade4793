// The population: owner of the search's state, the only actor that leases candidates. It turns messages into calls of search::SteadyState.
//
// Rules
// - Whatever changes the state (candidate, lost attempt, evaluation) goes to the recorder first and takes effect when it comes back durable.
// - A lease is (id, attempt). Its deadline runs from the moment it is started; a passed deadline or a lost evaluator costs one attempt; a lease
//   that was not started returns without cost. The first durable result of an id counts, from whichever attempt it comes.
// - Candidate i + 1 is bred only after i is durable. A proposal seen before is refused and bred again with the next attempt number.
// - A record that does not fit the search (an outcome with too few objectives) ends the population, which tells `control` why.
// - So many killed candidates in a row, with no other result between them, mean that the machine is at fault (a full disk): `control` is told, and the
//   run ends while there is budget left.
// - When the search is over, the checkpoints that were kept are leased once more, to be measured on the test part; a test that loses all its attempts is
//   left out.
// - Towards the end, when nothing is left to hand out, a prefetched lease is recalled for an evaluator that would be idle.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <starling/actors/interfaces.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/search/steady_state.hpp>

namespace starling::actors {

struct PopulationSettings {
  search::SteadyState::Settings search;
  std::vector<search::Candidate> baselines;  ///< evaluated first; without ids
  genome::Dimensions dimensions;
  std::set<std::string> devices;                        ///< that candidates are trained on
  std::chrono::milliseconds least_deadline{3'600'000};  ///< the deadline is max(this, 4 × mean duration so far)
  std::uint32_t give_up_after = 5;                      ///< killed candidates in a row
  bool test = false;                                    ///< measure what was kept on the test part at the end
};

struct PopulationWiring {
  SelectionActor selection;
  RecorderActor recorder;
  ControlActor control;
};

PopulationActor::behavior_type population(PopulationActor::pointer self, PopulationSettings settings, PopulationWiring wiring);

}  // namespace starling::actors
