// The roles as typed actors: who may say what to whom. A custom actor that has the same type can take a role's place.
#pragma once

#include <starling/actors/messages.hpp>

CAF_BEGIN_TYPE_ID_BLOCK(starling, caf::first_custom_type_id)

// Atoms: at most ten characters.
CAF_ADD_ATOM(starling, starling::actors, demand_atom, "demand")
CAF_ADD_ATOM(starling, starling::actors, lease_atom, "lease")
CAF_ADD_ATOM(starling, starling::actors, started_atom, "started")
CAF_ADD_ATOM(starling, starling::actors, returned_atom, "returned")
CAF_ADD_ATOM(starling, starling::actors, lost_atom, "lost")
CAF_ADD_ATOM(starling, starling::actors, broken_atom, "broken")
CAF_ADD_ATOM(starling, starling::actors, revoke_atom, "revoke")
CAF_ADD_ATOM(starling, starling::actors, recall_atom, "recall")
CAF_ADD_ATOM(starling, starling::actors, deadline_atom, "deadline")
CAF_ADD_ATOM(starling, starling::actors, breed_atom, "breed")
CAF_ADD_ATOM(starling, starling::actors, mutate_atom, "mutate")
CAF_ADD_ATOM(starling, starling::actors, record_atom, "record")
CAF_ADD_ATOM(starling, starling::actors, evaluation_atom, "evaluation")
CAF_ADD_ATOM(starling, starling::actors, durable_atom, "durable")
CAF_ADD_ATOM(starling, starling::actors, listen_atom, "listen")
CAF_ADD_ATOM(starling, starling::actors, sync_atom, "sync")
CAF_ADD_ATOM(starling, starling::actors, flush_atom, "flush")
CAF_ADD_ATOM(starling, starling::actors, publish_atom, "publish")
CAF_ADD_ATOM(starling, starling::actors, train_atom, "train")
CAF_ADD_ATOM(starling, starling::actors, done_atom, "done")
CAF_ADD_ATOM(starling, starling::actors, progress_atom, "progress")
CAF_ADD_ATOM(starling, starling::actors, begin_atom, "begin")
CAF_ADD_ATOM(starling, starling::actors, hello_atom, "hello")
CAF_ADD_ATOM(starling, starling::actors, ready_atom, "ready")
CAF_ADD_ATOM(starling, starling::actors, refuse_atom, "refuse")
CAF_ADD_ATOM(starling, starling::actors, finished_atom, "finished")
CAF_ADD_ATOM(starling, starling::actors, kill_atom, "kill")
CAF_ADD_ATOM(starling, starling::actors, stop_atom, "stop")
CAF_ADD_ATOM(starling, starling::actors, tick_atom, "tick")

namespace starling::actors {

template <class... Ts>
using says = caf::reacts_to<Ts...>;

/// Front of one device: takes leases, starts them one after another, reports to recorder and population.
using EvaluatorActor =
    caf::typed_actor<says<lease_atom, Job>,                                       // evaluate this candidate
                     says<revoke_atom, std::uint64_t, std::uint32_t>,             // id, attempt: no longer wanted
                     says<recall_atom, std::uint64_t>,                            // give it back if it has not started
                     says<done_atom, EvaluationMessage>,                          // from its own trainer
                     says<lost_atom, std::uint64_t, std::uint32_t, std::string>,  // from its own trainer
                     // from its own trainer, which can train no more
                     says<broken_atom, std::uint64_t, std::uint32_t, std::string>, says<progress_atom, Progress>,  // from its own trainer
                     says<stop_atom>>;

/// Computes for minutes and reads no messages meanwhile: it is stopped by the flag that came with the job.
using TrainerActor = caf::typed_actor<says<train_atom, Job, StopFlag>>;

using SelectionActor = caf::typed_actor<caf::replies_to<breed_atom, Breed>::with<search::Candidate>>;
using MutationActor = caf::typed_actor<caf::replies_to<mutate_atom, Mutate>::with<search::Candidate>>;

/// Whoever wants every durable record, in journal order.
using ListenerActor = caf::typed_actor<says<durable_atom, EntryPtr>>;

using RecorderActor =
    caf::typed_actor<says<record_atom, RecordPtr>,              // from inside the process
                     says<evaluation_atom, EvaluationMessage>,  // from evaluators, wherever they are
                     says<evaluation_atom, TestMessage>, says<evaluation_atom, RetrainingMessage>, says<listen_atom, ListenerActor>,
                     says<sync_atom>,                                    // to itself: the group commit
                     caf::replies_to<flush_atom>::with<std::uint64_t>>;  // next sequence number, all durable

using PublisherActor = ListenerActor::extend<says<publish_atom>,                               // to itself: the interval is over
                                             caf::replies_to<flush_atom>::with<std::string>>;  // error text, "" where run.h5 is up to date

using PopulationActor = ListenerActor::extend<  // worker, its device, its front, credit
    says<demand_atom, std::string, std::string, EvaluatorActor, std::uint32_t>,
    says<started_atom, std::string, std::uint64_t, std::uint32_t>,  // worker, id, attempt
    says<returned_atom, std::string, std::uint64_t, std::uint32_t>,
    says<lost_atom, std::string, std::uint64_t, std::uint32_t, std::string>,  // …, reason
    says<deadline_atom, std::uint64_t, std::uint32_t>,                        // to itself
    says<begin_atom>, says<stop_atom>>;

/// What population and evaluators tell whoever watches over the run.
using ControlActor = caf::typed_actor<says<finished_atom, std::string>,             // why breeding and evaluation are over
                                      says<kill_atom, std::string, std::string>,    // worker, reason: its process is of no use
                                      says<progress_atom, std::string, Progress>>;  // worker, …

/// All that a worker needs to begin.
struct WorkerWelcome {
  std::string experiment_toml;
  std::string run_directory;
  PopulationActor population;
  RecorderActor recorder;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkerWelcome& x) {
  return f(caf::meta::type_name("WorkerWelcome"), x.experiment_toml, x.run_directory, x.population, x.recorder);
}

using SupervisorActor =
    ControlActor::extend<says<durable_atom, EntryPtr>, says<begin_atom, std::uint16_t>,  // port that workers reach it at
                         caf::replies_to<hello_atom, WorkerHello>::with<WorkerWelcome>,
                         says<ready_atom, std::string, std::vector<ReferenceMessage>>,  // worker, losses any model should beat
                         says<refuse_atom, std::string, std::string, bool>,             // worker, why it cannot work, bad input?
                         says<tick_atom>, says<stop_atom>>;

}  // namespace starling::actors

CAF_ADD_TYPE_ID(starling, (starling::actors::Job))
CAF_ADD_TYPE_ID(starling, (starling::actors::Progress))
CAF_ADD_TYPE_ID(starling, (starling::actors::EvaluationMessage))
CAF_ADD_TYPE_ID(starling, (starling::actors::TestMessage))
CAF_ADD_TYPE_ID(starling, (starling::actors::RetrainingMessage))
CAF_ADD_TYPE_ID(starling, (starling::actors::ReferenceMessage))
CAF_ADD_TYPE_ID(starling, (std::vector<starling::actors::ReferenceMessage>))
CAF_ADD_TYPE_ID(starling, (starling::actors::WorkerHello))
CAF_ADD_TYPE_ID(starling, (starling::actors::WorkerWelcome))
CAF_ADD_TYPE_ID(starling, (starling::actors::EvaluatorActor))
CAF_ADD_TYPE_ID(starling, (starling::actors::ListenerActor))
CAF_ADD_TYPE_ID(starling, (starling::actors::RecorderActor))
CAF_ADD_TYPE_ID(starling, (starling::actors::PopulationActor))
CAF_ADD_TYPE_ID(starling, (starling::actors::ControlActor))
CAF_ADD_TYPE_ID(starling, (starling::actors::SupervisorActor))

CAF_END_TYPE_ID_BLOCK(starling)
