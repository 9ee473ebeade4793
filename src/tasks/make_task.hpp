// One place that makes every kind of task. No Torch: programs include this and hand the task on.
#pragma once

#include <memory>
#include <variant>

#include <starling/tasks/options.hpp>

namespace starling::tasks {

class Task;

/// Throws UserError where the options or the data they name are not usable; keys in messages are those of the experiment file.
std::shared_ptr<const Task> make_task(const Options& options);

}  // namespace starling::tasks
