// Text becomes tokens before a run starts, where its workers do not read it themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include <starling/experiment/experiment.hpp>
#include <starling/tasks/pack.hpp>

namespace starling::tools {

/// Of more bytes than this the tokens are packed once and mapped by every worker, instead of being held in memory by each.
inline constexpr std::int64_t most_bytes_in_memory = 64'000'000;

/// Whether a run on this experiment packs its text: always under a SentencePiece model, which the workers do not load; under bytes where the
/// files are, or may become when they are decompressed, larger than most_bytes_in_memory.
bool packs_text(const experiment::Experiment& experiment);

/// Bytes of text that it uses: of the files as they are, or may become when they are decompressed, at most task.max_bytes.
std::int64_t text_bytes(const experiment::Experiment& experiment);

/// Packs it into RUN/data, which the workers find, and throws what `tick` throws, UserError or Failure.
tasks::PackIndex pack_text(const experiment::Experiment& experiment, const std::filesystem::path& run_directory,
                           const std::function<void()>& tick);

}  // namespace starling::tools
