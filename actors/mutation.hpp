// Mutation: recombines, mutates and repairs; proposes, never decides. A pure function of the message inside an actor.
#pragma once

#include <starling/actors/interfaces.hpp>

namespace starling::actors {

MutationActor::behavior_type mutation(MutationActor::pointer self, search::Breeding breeding);

}  // namespace starling::actors
