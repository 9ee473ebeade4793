#include "packing.hpp"

#include <algorithm>
#include <system_error>

#include <starling/tasks/byte_source.hpp>
#include <starling/tasks/find_files.hpp>
#include <starling/tasks/sentence_piece.hpp>

namespace starling::tools {
namespace {

namespace fs = std::filesystem;

bool has_model(const experiment::Experiment& experiment) { return experiment.task.tokenizer.ends_with(".model"); }

}  // namespace

bool packs_text(const experiment::Experiment& experiment) {
  const auto& task = experiment.task;
  if (task.kind != "language-model" || experiment::reads_shards(experiment)) return false;
  if (has_model(experiment)) return true;
  if (task.max_bytes > 0 && task.max_bytes <= most_bytes_in_memory) return false;
  return text_bytes(experiment) > most_bytes_in_memory;
}

std::int64_t text_bytes(const experiment::Experiment& experiment) {
  // Text shrinks to a third or a fifth.
  constexpr std::int64_t grows = 5;
  const auto& task = experiment.task;
  std::int64_t bytes = 0;
  for (const auto& path : tasks::find_files(task.files)) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (!error) bytes += static_cast<std::int64_t>(size) * (tasks::is_compressed(path) ? grows : 1);
  }
  return task.max_bytes > 0 ? std::min(bytes, task.max_bytes) : bytes;
}

tasks::PackIndex pack_text(const experiment::Experiment& experiment, const fs::path& run_directory, const std::function<void()>& tick) {
  const auto& task = experiment.task;
  tasks::PackOptions options;
  options.sources = {.globs = task.files, .text_key = task.text_key};
  options.division = {task.max_bytes, task.validation_fraction, task.test_fraction, experiment.seed};
  options.separator = static_cast<std::uint16_t>(task.separator);
  options.tick = tick;
  const fs::path folder = run_directory / "data";
  fs::create_directory(folder);
  if (has_model(experiment)) return tasks::pack(options, *tasks::open_sentence_piece(task.tokenizer), folder);
  return tasks::pack(options, *tasks::make_byte_tokenizer(), folder);
}

}  // namespace starling::tools
