// The evaluator: front of one device. It stays responsive while its trainer, a detached actor, computes.
#pragma once

#include <string>

#include <starling/actors/interfaces.hpp>

namespace starling::actors {

/// Candidates an evaluator asks for at first: one to train and one prefetched, so that the device never waits.
inline constexpr std::uint32_t evaluator_credit = 2;

struct EvaluatorWiring {
  std::string worker;
  std::string device;
  PopulationActor population;
  RecorderActor recorder;
  ControlActor control;
  bool replaceable = false;  ///< it has a process of its own, and another is started when that ends
};

/// Demands work, starts leases one after another and sends results to the recorder. Ends when the population is gone.
/// Where the trainer's device failed, `control` is asked to kill the process; what cannot be replaced goes on as after any exception.
EvaluatorActor::behavior_type evaluator(EvaluatorActor::pointer self, EvaluatorWiring wiring, TrainerActor trainer);

/// Runs `evaluate` for one job at a time and answers to `front` (which it learns from the sender). Spawn it detached where `evaluate` blocks.
TrainerActor::behavior_type trainer(TrainerActor::pointer self, Evaluate evaluate);

}  // namespace starling::actors
