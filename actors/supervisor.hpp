// The supervisor: starts the roles and the worker processes, replaces workers that die, and brings the run to its end.
#pragma once

#include <functional>

#include <starling/actors/engine.hpp>
#include <starling/actors/interfaces.hpp>

namespace starling::actors {

/// `concluded` is called once, after the last record is durable and run.h5 is up to date.
///
/// A worker that ends is started again after a pause that doubles from half a second to half a minute and shrinks back with its
/// next result; it comes back on the same device. One that is not ready within setup->ready_within is killed, and one that ends
/// three times in a row before it was ready is not started again.
///
/// A device is given up (recorded as DeviceGivenUp) when none of its workers is started again, and, where there are others, when
/// as many different candidates as evaluation.give_up_after says have lost an attempt on it and nothing was finished there in
/// between; a candidate that was lost elsewhere too is itself to blame. What the last device loses is the population's to judge,
/// which counts the candidates that were given up. With no device left the run ends.
///
/// Asked to stop, it lets workers end by themselves, for a few seconds or until it is asked again. A role that ends unbidden ends
/// the run; only the publisher is missed no sooner than at the end, as RunResult::publish_error.
SupervisorActor::behavior_type supervisor(SupervisorActor::pointer self, std::shared_ptr<const EngineSetup> setup,
                                          std::shared_ptr<run::Journal> journal, std::function<void(RunResult)> concluded);

}  // namespace starling::actors
