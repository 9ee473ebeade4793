// Language modelling on text, byte by byte, or on tokens that stand in shards.
#pragma once

#include <memory>

#include <starling/tasks/options.hpp>
#include <starling/tasks/task.hpp>

namespace starling::tasks {

/// Training: the training documents form one stream; an epoch is its windows of sequence_length + 1 tokens that overlap by one, laid out
/// from a phase that the epoch draws, in an order that is a stateless permutation of (seed, epoch). Held-out parts: windows of
/// sequence_length that together predict every token but the leading separator exactly once; a window's first token is context. Bits per
/// byte = Σ nats / (ln 2 · bytes of text predicted), NaN where shards do not tell them; a separator costs nats and is no byte.
/// References: "unigram" and "bigram" fitted on the training stream, counted over the very same validation targets. Throws UserError: see
/// open_token_data(); less training text than one sequence; no validation text.
std::unique_ptr<const Task> make_language_model(const LanguageModelOptions& options);

}  // namespace starling::tasks
