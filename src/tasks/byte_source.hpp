// The bytes of a file from its beginning to its end, decompressed on the way where its name says so. No Torch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace starling::tasks {

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;
  /// At most `size` bytes; 0 at the end alone. Throws UserError where the file cannot be read, or is no whole file of its compression:
  /// another format, damage, an end too early.
  virtual std::size_t read(char* out, std::size_t size) = 0;
};

/// Names that end in .gz are gzip (all members of it), in .zst Zstandard (all frames), in any case of letters; any other file is read as it
/// is, unless it begins as compressed ones do (gzip, Zstandard, bzip2, xz): that is refused. Needs memory for the window of the compression,
/// whatever the size of the file. `asked_by` opens every message.
std::unique_ptr<ByteSource> open_bytes(const std::filesystem::path& path, const std::string& asked_by);

/// ".jsonl" of "A.JSONL": small letters.
std::string extension_of(const std::filesystem::path& path);
bool is_compressed(const std::filesystem::path& path);
/// The name without what only tells of its compression: "a.jsonl" of "a.jsonl.zst".
std::filesystem::path uncompressed_name(const std::filesystem::path& path);

}  // namespace starling::tasks
