// Text to token shards on disk, with an index: tokenized once, read by every worker, larger than memory. No Torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <starling/tasks/corpus.hpp>
#include <starling/tasks/tokenizer.hpp>

namespace starling::tasks {

/// index.json of a folder of shards: what they are. Written last: a folder without it was not finished.
struct PackIndex {
  struct PartOfPack {
    std::vector<std::string> files;  ///< llm.c shards, names in the folder, in order
    /// Of the held-out parts, unless tokens are bytes: files of the same format that hold, for each token, the bytes of text it stands for.
    std::vector<std::string> token_bytes;
    std::int64_t tokens = 0;  ///< with one separator before every document
    std::int64_t documents = 0;
    std::int64_t bytes = 0;  ///< of text

    bool operator==(const PartOfPack&) const = default;
  };
  std::string tokenizer;  ///< "bytes" or the name of a SentencePiece model in the folder
  std::int64_t vocabulary = 0;
  std::uint16_t separator = 0;
  std::int64_t text_files = 0;      ///< that text was taken from
  std::array<PartOfPack, 3> parts;  ///< by Part

  const PartOfPack& part(Part which) const { return parts[static_cast<std::size_t>(which)]; }
  bool operator==(const PackIndex&) const = default;
};

struct PackOptions {
  Sources sources;
  Division division;
  std::optional<std::uint16_t> separator;   ///< in place of the tokenizer's
  std::int64_t shard_tokens = 100'000'000;  ///< at most in one file
  std::function<void()> tick;               ///< called all the time; what it throws ends the work
};

/// Reads the text twice, once to divide it and once to write training_000000.bin, validation_000000.bin, … and the index into an existing
/// folder: the same documents in the same order as read_corpus() has them. Memory does not grow with the text (24 bytes a document). Throws
/// UserError: see survey(); Failure where nothing can be written.
PackIndex pack(const PackOptions& options, const Tokenizer& tokenizer, const std::filesystem::path& folder);

/// Nothing where there is no index of ours. Throws UserError where it is damaged.
std::optional<PackIndex> read_pack_index(const std::filesystem::path& folder);

}  // namespace starling::tasks
