#include <starling/actors/mutation.hpp>

#include <starling/actors/role_count.hpp>

namespace starling::actors {

MutationActor::behavior_type mutation(MutationActor::pointer, search::Breeding breeding) {
  return {[=, count = RoleCount()](mutate_atom, const Mutate& mutate) {
    return search::make_child(breeding, *mutate.parents, mutate.index, mutate.attempt);
  }};
}

}  // namespace starling::actors
