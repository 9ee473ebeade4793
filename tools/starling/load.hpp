// An experiment with everything in it that only its data know.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <starling/experiment/experiment.hpp>

namespace starling::tools {

/// experiment::load(), then task.vocabulary, task.separator and task.tokenizer from the tokenizer and the token shards where the file leaves
/// them out, and task.columns of a series in full from its files, so that checking, counting, planning and the workers, which get the result,
/// agree. Tokenizer, shards and files of series are opened, text is not. Throws UserError.
experiment::Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& overrides);

}  // namespace starling::tools
