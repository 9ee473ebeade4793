#include <starling/actors/selection.hpp>

#include <starling/actors/role_count.hpp>

namespace starling::actors {

SelectionActor::behavior_type selection(SelectionActor::pointer self, search::Breeding breeding, MutationActor mutation) {
  return {[=, count = RoleCount()](breed_atom, const Breed& breed) {
    auto parents = std::make_shared<const search::Parents>(search::select_parents(breeding, *breed.snapshot, breed.index, breed.attempt));
    return self->delegate(mutation, mutate_atom_v, Mutate{breed.index, breed.attempt, std::move(parents)});
  }};
}

}  // namespace starling::actors
