// Files of 16-bit tokens. No Torch. Two formats, both little-endian:
//  - nanoGPT: nothing but the tokens (https://github.com/karpathy/nanoGPT, data/*/prepare.py);
//  - llm.c: 256 × int32, of which the first three are 20240520, the version 1 and the number of tokens, then the tokens
//    (https://github.com/karpathy/llm.c, dev/data/data_common.py).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <starling/tasks/token_stream.hpp>

namespace starling::tasks {

inline constexpr std::int32_t shard_magic = 20240520;
inline constexpr std::int32_t shard_version = 1;
inline constexpr std::int64_t shard_header_bytes = 256 * 4;

/// Maps a shard of either format into memory and adds it to the stream: nothing is read until a token is asked for. Throws UserError, whose
/// message `asked_by` opens: a file that cannot be read, is empty, has a header of another kind (magic, version), or is not as long as its
/// header or 16-bit tokens have it.
void add_shard(const std::filesystem::path& path, const std::string& asked_by, TokenStream& stream);

/// Writes one llm.c shard. The header says 0 tokens until finish(): what a killed program leaves is no legal shard.
class ShardWriter {
 public:
  explicit ShardWriter(std::filesystem::path path);
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  /// Throws Failure.
  void write(std::span<const std::uint16_t> tokens);
  std::int64_t tokens() const { return tokens_; }
  /// Completes the header and makes the file durable. Throws Failure.
  void finish();

 private:
  struct File;
  std::filesystem::path path_;
  std::unique_ptr<File> file_;
  std::int64_t tokens_ = 0;
};

}  // namespace starling::tasks
