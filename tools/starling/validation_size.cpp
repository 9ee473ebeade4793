#include "validation_size.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/tasks/byte_source.hpp>
#include <starling/tasks/column_file.hpp>
#include <starling/tasks/corpus.hpp>
#include <starling/tasks/find_files.hpp>
#include <starling/tasks/sentence_piece.hpp>
#include <starling/tasks/token_data.hpp>
#include <starling/tasks/token_shards.hpp>
#include <starling/tasks/windows.hpp>

#include "packing.hpp"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;

std::int64_t share(std::int64_t of, double fraction) { return static_cast<std::int64_t>(static_cast<double>(of) * fraction); }

/// Of each file the rows of its validation part.
std::vector<std::int64_t> rows_of_series(const experiment::Task& task) {
  std::vector<std::int64_t> rows;
  for (const auto& path : tasks::find_files(task.files)) {
    rows.push_back(share(tasks::open_columns(path)->read({task.columns.front()}).rows, task.validation_fraction));
  }
  return rows;
}

std::int64_t tokens_of_shards(const experiment::Task& task) {
  const auto paths = tasks::find_shards(task.files);
  const bool divided = tasks::index_of_shards(paths).has_value();
  tasks::TokenStream tokens;
  for (const auto& path : paths) {
    if (divided) {
      const auto index = *tasks::read_pack_index(path.parent_path());
      const auto& files = index.part(tasks::Part::validation).files;
      if (std::ranges::find(files, path.filename().string()) == files.end()) continue;
    }
    tasks::add_shard(path, "task.files", tokens);
  }
  return divided ? tokens.size() : share(tokens.size(), task.validation_fraction);
}

/// Tokens that a byte of text becomes, from the beginnings of some files.
double tokens_per_byte(const experiment::Task& task) {
  constexpr std::size_t most_files = 16;
  constexpr std::size_t most_bytes = 1 << 14;
  const auto tokenizer = tasks::open_sentence_piece(task.tokenizer);
  const auto paths = tasks::find_files(task.files);
  std::vector<std::uint16_t> tokens;
  double bytes = 0;
  for (std::size_t i = 0; i < std::min(most_files, paths.size()); ++i) {
    std::string text(std::min(most_bytes, tokenizer->longest_text()), '\0');
    const auto source = tasks::open_bytes(paths[i * paths.size() / std::min(most_files, paths.size())], "task.files");
    std::size_t size = 0;
    while (size < text.size()) {
      const auto got = source->read(text.data() + size, text.size() - size);
      if (got == 0) break;
      size += got;
    }
    text.resize(size);
    tokenizer->encode(text, tokens, nullptr);
    bytes += static_cast<double>(size);
  }
  return bytes > 0 ? static_cast<double>(tokens.size()) / bytes : 1;
}

std::int64_t tokens_of_text(const experiment::Experiment& e) {
  const auto& task = e.task;
  const tasks::Division division{task.max_bytes, task.validation_fraction, task.test_fraction, e.seed};
  auto bytes = text_bytes(e);
  std::int64_t documents = 0;
  if (bytes <= most_bytes_in_memory) {
    const auto survey = tasks::survey({.globs = task.files, .text_key = task.text_key}, division);
    const tasks::Allotment allotment(survey, division);
    bytes = 0;
    for (std::size_t i = 0; i < survey.bytes.size(); ++i) {
      const auto length = allotment.lengths(i)[static_cast<std::size_t>(tasks::Part::validation)];
      bytes += length;
      documents += length > 0;
    }
  } else {
    bytes = share(bytes, task.validation_fraction);
  }
  if (!task.tokenizer.ends_with(".model")) return bytes + documents;
  return static_cast<std::int64_t>(static_cast<double>(bytes) * tokens_per_byte(task)) + documents;
}

}  // namespace

std::optional<std::int64_t> validation_size(const experiment::Experiment& e) {
  const auto& task = e.task;
  if (task.kind == "mad") return task.test_sequences * positions(experiment::mad_options(e));
  std::vector<std::int64_t> sizes;
  if (task.kind == "series") {
    sizes = rows_of_series(task);
  } else if (experiment::reads_shards(e)) {
    sizes = {tokens_of_shards(task)};
  } else {
    try {
      sizes = {tokens_of_text(e)};
    } catch (const UserError&) {
      return std::nullopt;
    }
  }
  return tasks::HeldOutWindows(sizes, task.sequence_length, task.validation_tokens).size() * task.sequence_length;
}

}  // namespace starling::tools
