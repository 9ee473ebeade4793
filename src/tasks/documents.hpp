// The documents of a file, one after another and piece by piece, so that neither has to fit into memory. No Torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace starling::tasks {

/// Where text comes from.
struct Sources {
  std::vector<std::string> globs;       ///< see find_files()
  std::string text_key = "text";        ///< of the object that a line of a JSONL file is
  std::string asked_by = "task.files";  ///< opens every message
};

/// The files of the globs. Throws UserError: see find_files(); a token shard (.bin, compressed or not) among them, which only a slip reads
/// as text.
std::vector<std::filesystem::path> find_text(const Sources& sources);

/// .jsonl and .ndjson, compressed or not: one document per line. Any other file is one document.
bool is_jsonl(const std::filesystem::path& path);

class DocumentReader {
 public:
  DocumentReader(const std::filesystem::path& path, const Sources& sources);
  ~DocumentReader();
  DocumentReader(const DocumentReader&) = delete;
  DocumentReader& operator=(const DocumentReader&) = delete;

  /// To the next document, whatever was read of this one; false behind the last. Blank lines of a JSONL file are no documents, an empty text
  /// is one. Throws UserError: see ByteSource; a line that is no JSON object with the text as a string, told with file, line and what was
  /// found.
  bool next();
  /// The next piece of this document, valid until the next call; empty at its end.
  std::string_view piece();

  /// One of the two kinds of file.
  class Format;

 private:
  std::unique_ptr<Format> format_;
};

}  // namespace starling::tasks
