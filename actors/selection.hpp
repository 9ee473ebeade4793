// Selection: picks parents and hands them to mutation. A pure function of the message inside an actor.
#pragma once

#include <starling/actors/interfaces.hpp>

namespace starling::actors {

SelectionActor::behavior_type selection(SelectionActor::pointer self, search::Breeding breeding, MutationActor mutation);

}  // namespace starling::actors
