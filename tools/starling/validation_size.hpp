// How much of a search is validation, before anything is trained.
#pragma once

#include <cstdint>
#include <optional>

#include <starling/experiment/experiment.hpp>

namespace starling::tools {

/// Tokens, or rows of a series, that a candidate is scored on: whole windows of task.sequence_length, at most task.validation_tokens where
/// there is such a cap. Of MAD tasks, series, shards and bytes in memory as the workers will count them; estimated where text has more than
/// most_bytes_in_memory, or a tokenizer makes tokens of it. Nothing where the text is not there yet, or cannot be read. Throws UserError for a
/// series that cannot be read.
std::optional<std::int64_t> validation_size(const experiment::Experiment& experiment);

}  // namespace starling::tools
