#include <starling/tasks/token_data.hpp>

#include <algorithm>
#include <utility>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/error.hpp>
#include <starling/tasks/find_files.hpp>
#include <starling/tasks/thousands.hpp>
#include <starling/tasks/token_shards.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

// Frees each document once it is in the stream, so that the text is in memory about once.
TokenStream join(std::vector<std::string>& documents) {
  std::size_t size = documents.size();
  for (const std::string& document : documents) size += document.size();
  std::vector<std::uint16_t> tokens;
  tokens.reserve(size);
  for (std::string& document : documents) {
    tokens.push_back(static_cast<std::uint16_t>(byte_separator));
    for (const char c : document) tokens.push_back(static_cast<unsigned char>(c));
    document = {};
  }
  return TokenStream(std::move(tokens));
}

TokenData read_text(const LanguageModelOptions& options, const Division& division) {
  if (!options.bytes) throw UserError("task.tokenizer: only bytes are read from text as it is, expected packed tokens");
  Corpus corpus = read_corpus({.globs = options.files, .text_key = options.text_key}, division);
  TokenData data;
  for (const Part part : all_parts) data.parts[static_cast<std::size_t>(part)] = join(corpus.part(part));
  data.origin = thousands(corpus.files) + (corpus.files == corpus.found ? "" : " of " + thousands(corpus.found)) + " files" +
                (corpus.documents == corpus.files ? "" : ", " + thousands(corpus.documents) + " documents");
  return data;
}

/// Where a part may begin: about equally far apart, at separators where there is one; 0 and the end included.
std::vector<std::int64_t> bounds_of(const TokenStream& tokens, std::optional<std::uint16_t> separator) {
  constexpr std::int64_t tokens_per_range = 1 << 16;
  const std::int64_t ranges = std::clamp<std::int64_t>(tokens.size() / tokens_per_range, 20, 1000);
  std::vector<std::int64_t> bounds{0};
  for (std::int64_t i = 1; i < ranges; ++i) {
    std::optional<std::int64_t> at = std::max(tokens.size() / ranges * i, bounds.back() + 1);
    if (separator) {
      // The last search may already have gone beyond.
      at = tokens.find(*separator, *at);
      if (!at) break;
    }
    if (*at < tokens.size()) bounds.push_back(*at);
  }
  bounds.push_back(tokens.size());
  return bounds;
}

/// Shards with an index: everything but the vocabulary that the model has is in it.
TokenData open_pack(const std::vector<fs::path>& shards, const LanguageModelOptions& options, const std::string& asked_by) {
  TokenData data;
  for (const fs::path& path : shards) {
    const PackIndex index = *read_pack_index(path.parent_path());
    const auto wrong = [&](const std::string& what) { return UserError(asked_by + ": '" + path.string() + "' " + what); };
    if (index.vocabulary > options.vocabulary || options.separator != index.separator) {
      throw wrong("has tokens below " + std::to_string(index.vocabulary) + " and the separator " + std::to_string(index.separator) +
                  ", which task.vocabulary and task.separator do not fit");
    }
    bool known = false;
    for (const Part part : all_parts) {
      const auto i = static_cast<std::size_t>(part);
      const auto& of_part = index.part(part);
      const auto found = std::ranges::find(of_part.files, path.filename().string());
      if (found == of_part.files.end()) continue;
      known = true;
      add_shard(path, asked_by, data.parts[i]);
      if (of_part.token_bytes.empty()) continue;
      const auto number = static_cast<std::size_t>(found - of_part.files.begin());
      if (number >= of_part.token_bytes.size()) throw wrong("has no file of the bytes of its tokens in its index");
      add_shard(path.parent_path() / of_part.token_bytes[number], asked_by, data.bytes[i]);
      if (data.bytes[i].size() != data.parts[i].size())
        throw wrong("has another number of tokens than '" + of_part.token_bytes[number] + "'");
    }
    if (!known) throw wrong("stands beside an index that does not name it");
    data.text_bytes = index.tokenizer == "bytes" ? TextBytes::one : TextBytes::counted;
  }
  data.origin = thousands(std::ssize(shards)) + (shards.size() == 1 ? " shard" : " shards");
  return data;
}

TokenData open_packed(const LanguageModelOptions& options) {
  const fs::path folder = options.packed;
  const auto index = read_pack_index(folder);
  if (!index) throw Failure("'" + folder.string() + "' has no index of token shards");
  std::vector<fs::path> shards;
  std::int64_t documents = 0;
  for (const Part part : all_parts) {
    for (const std::string& file : index->part(part).files) shards.push_back(folder / file);
    documents += index->part(part).documents;
  }
  TokenData data = open_pack(shards, options, "task.files");
  data.origin =
      thousands(index->text_files) + " files" + (documents == index->text_files ? "" : ", " + thousands(documents) + " documents");
  return data;
}

TokenData open_shards(const LanguageModelOptions& options, const Division& division) {
  TokenStream all;
  const auto paths = find_shards(options.files);
  if (index_of_shards(paths)) return open_pack(paths, options, "task.files");
  for (const auto& path : paths) add_shard(path, "task.files", all);
  const std::vector<std::int64_t> bounds = bounds_of(all, options.separator);
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) sizes.push_back(bounds[i + 1] - bounds[i]);
  const std::size_t parts = std::size_t{1} + (division.validation > 0) + (division.test > 0);
  if (options.separator && sizes.size() == 1 && !all.find(*options.separator, 0)) {
    throw UserError("task.separator: the token " + std::to_string(*options.separator) + " does not occur in task.files");
  }
  if (sizes.size() < parts) {
    throw UserError("task.files: the shards have " + thousands(std::ssize(sizes)) + " documents, expected at least one for each of " +
                    std::to_string(parts) + " parts");
  }
  const std::vector<Part> part_of = divide(sizes, keyed_order(sizes.size(), division.seed, KeyedOrder::ranges), division);
  TokenData data;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    data.parts[static_cast<std::size_t>(part_of[i])].add(all.slice(bounds[i], bounds[i + 1]));
  }
  data.origin = thousands(std::ssize(paths)) + (paths.size() == 1 ? " shard" : " shards");
  return data;
}

}  // namespace

std::vector<fs::path> find_shards(const std::vector<std::string>& globs) {
  std::vector<fs::path> shards = find_files(globs);
  for (fs::path& path : shards) {
    if (fs::is_symlink(path) && !read_pack_index(path.parent_path())) path = fs::canonical(path);
  }
  return shards;
}

std::optional<PackIndex> index_of_shards(const std::vector<fs::path>& shards) {
  std::optional<PackIndex> first;
  fs::path read;
  for (const fs::path& path : shards) {
    if (path.parent_path() == read) continue;
    read = path.parent_path();
    auto index = read_pack_index(read);
    if (path == shards.front()) first = index;
    const bool alike = index.has_value() == first.has_value() &&
                       (!index || (index->vocabulary == first->vocabulary && index->separator == first->separator &&
                                   (index->tokenizer == "bytes") == (first->tokenizer == "bytes")));
    if (!alike) throw UserError("task.files: '" + path.string() + "' has other tokens than '" + shards.front().string() + "'");
  }
  return first;
}

std::int64_t TokenData::bytes_of(Part which, std::int64_t begin, std::int64_t count) const {
  std::int64_t sum = 0;
  if (text_bytes == TextBytes::one) {
    part(which).visit(begin, count, [&](auto tokens) { sum += std::ssize(tokens) - std::ranges::count(tokens, *separator); });
  } else if (text_bytes == TextBytes::counted) {
    bytes[static_cast<std::size_t>(which)].visit(begin, count, [&](auto lengths) {
      for (const std::uint16_t length : lengths) sum += length;
    });
  }
  return sum;
}

TokenData open_token_data(const LanguageModelOptions& options) {
  const Division division{options.max_bytes, options.validation_fraction, options.test_fraction, options.seed};
  TokenData data = !options.packed.empty() ? open_packed(options)
                   : options.shards        ? open_shards(options, division)
                                           : read_text(options, division);
  data.vocabulary = options.vocabulary;
  data.separator = options.separator;
  if (options.bytes) data.text_bytes = TextBytes::one;
  for (TokenStream& part : data.parts) part.set_vocabulary(data.vocabulary);
  return data;
}

}  // namespace starling::tasks
