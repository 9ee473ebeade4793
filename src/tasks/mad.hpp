// The six MAD tasks (Poli et al., "Mechanistic design and scaling of hybrid architectures", 2024, arXiv 2403.17844): sequences that are generated,
// not stored.
#pragma once

#include <memory>

#include <starling/tasks/options.hpp>
#include <starling/tasks/task.hpp>

namespace starling::tasks {

/// Sequence i of a part is a pure function of (options.seed, part, i); the order in which training meets its sequences of (seed, epoch,
/// position). Scored by accuracy over the targets that count. What the tasks are: mad_generators.hpp. Throws UserError where an option does not
/// fit the task.
std::unique_ptr<const Task> make_mad(const MadOptions& options);

}  // namespace starling::tasks
