// What a task is made from. No Torch. Names follow the [task] table of the experiment file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/mad_options.hpp>

namespace starling::tasks {

/// Language modelling; see language_model.hpp.
struct LanguageModelOptions {
  std::vector<std::string> files = {};  ///< globs; see find_files()
  std::string packed = {};              ///< in place of the files: a folder that pack() wrote
  bool shards = false;                  ///< the files are token shards, not text; see token_shards.hpp
  std::string text_key = "text";        ///< of the objects in JSONL files
  std::int64_t vocabulary = byte_vocabulary;
  std::optional<std::uint16_t> separator = byte_separator;  ///< token between documents, where known
  bool bytes = true;                                        ///< every token but the separator is a byte of text
  std::int64_t sequence_length = 0;                         ///< tokens
  std::int64_t max_bytes = 0;                               ///< of text used; 0 = all. See survey()
  double validation_fraction = 0.1;                         ///< share of the bytes
  double test_fraction = 0.1;
  std::int64_t validation_tokens =
      0;                   ///< at most so many predicted tokens in each held-out part, in windows spread evenly over it; 0 = all
  std::uint64_t seed = 0;  ///< of the division into parts
};

/// Columns of numbers; see series.hpp.
struct SeriesOptions {
  std::vector<std::string> files = {};    ///< globs; see find_files(), column_file.hpp
  std::vector<std::string> columns = {};  ///< empty: the usual ones; see series_columns()
  std::int64_t sequence_length = 0;       ///< rows
  double validation_fraction = 0.1;       ///< share of the rows of each file
  double test_fraction = 0.1;
  std::int64_t validation_tokens = 0;  ///< at most so many predicted rows in each held-out part, in windows spread evenly over it; 0 = all
};

using Options = std::variant<LanguageModelOptions, MadOptions, SeriesOptions>;

}  // namespace starling::tasks
