#include <starling/tasks/task.hpp>
