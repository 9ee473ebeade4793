// The tokens of a language model's three parts, whatever they come from. No Torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <starling/tasks/corpus.hpp>
#include <starling/tasks/options.hpp>
#include <starling/tasks/pack.hpp>
#include <starling/tasks/token_stream.hpp>

namespace starling::tasks {

/// How many bytes of text a token stands for.
enum class TextBytes {
  unknown,
  one,      ///< every token but the separator is a byte
  counted,  ///< see TokenData::bytes
};

struct TokenData {
  std::array<TokenStream, 3> parts;  ///< by Part
  std::array<TokenStream, 3> bytes;  ///< of the held-out parts where `counted`: for each token the bytes of text that it stands for
  TextBytes text_bytes = TextBytes::unknown;
  std::int64_t vocabulary = 0;
  std::optional<std::uint16_t> separator;  ///< of documents
  std::string origin;                      ///< "412 files" for people

  const TokenStream& part(Part which) const { return parts[static_cast<std::size_t>(which)]; }
  /// Bytes of text that the tokens begin … begin + count − 1 of a held-out part stand for; 0 where unknown.
  std::int64_t bytes_of(Part which, std::int64_t begin, std::int64_t count) const;
};

/// Reads text into memory, or opens shards. Where an index stands beside the shards (pack.hpp), or `options.packed` names a folder with one,
/// it says what they are, and the parts are those of the index. Text: one separator before every document, then its bytes. Shards: the tokens of all of them, in
/// the order of their names, are cut into up to 1,000 ranges of about equal size, at separators where the separator is known, so that no
/// document stands in two parts; in a keyed order (seed, Purpose::data_split) validation, then test take each range that still fits into
/// their share, and training has the rest, in order. Throws UserError: see read_corpus(), add_shard() and read_pack_index(); a separator that does not occur;
/// shards with fewer documents than parts; shards with indexes that differ, or of which only some have one.
TokenData open_token_data(const LanguageModelOptions& options);

/// The shards that the globs of task.files match. Those beside whose links no index stands are named by what the links lead to: the index may
/// stand there. Throws UserError: see find_files() and read_pack_index().
std::vector<std::filesystem::path> find_shards(const std::vector<std::string>& globs);

/// The index that stands beside these shards, the same for all of them; nothing where they have none. Throws UserError.
std::optional<PackIndex> index_of_shards(const std::vector<std::filesystem::path>& shards);

}  // namespace starling::tasks
