// MAD in-context recall (Poli et al., "Mechanistic design and scaling of hybrid architectures", 2024, arXiv 2403.17844).
#pragma once

#include <memory>

#include <starling/tasks/options.hpp>
#include <starling/tasks/task.hpp>

namespace starling::tasks {

/// Each key is uniform; its value is uniform at first use and then fixed within the sequence; the last pair repeats a uniformly chosen key
/// seen before. The model sees the first L−1 tokens (sequence_length() = L−1). Training predicts every next token; held-out parts count
/// only values whose key was seen before, the last one always among them. Scored by accuracy. Sequence i of a part is a pure function of
/// (seed, part, i); nothing is stored. Throws UserError where an option is odd or too small.
std::unique_ptr<const Task> make_mad_recall(const MadRecallOptions& options);

}  // namespace starling::tasks
