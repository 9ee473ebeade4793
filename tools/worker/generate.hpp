// Continuations of a prompt by a saved model, token by token.
#pragma once

#include <filesystem>
#include <string>

namespace starling::worker {

/// `options` is the JSON object that `starling generate` sends (tools/starling/generate.cpp): tokens, samples, temperature, top_k, top_p,
/// seed, json, and from_file: whether `prompt` is the name of a file ("-" for standard input). Text goes to stdout as it comes. Returns the
/// exit code; throws UserError for a file that cannot be read and a prompt that the model's task has no tokens for.
int generate(const std::string& options, const std::filesystem::path& checkpoint, const std::string& prompt);

}  // namespace starling::worker
