// CSV as RFC 4180 has it, row by row, decompressed on the way. No Torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace starling::tasks {

class CsvReader {
 public:
  /// `asked_by` opens messages about the file as a whole. Throws UserError: see open_bytes().
  CsvReader(const std::filesystem::path& path, const std::string& asked_by);
  ~CsvReader();

  /// The next row: fields without the quotes around them, and without the blanks around one that has no quotes. Lines that hold nothing are
  /// no rows, see blank_lines(); a byte-order mark at the beginning is none of the text. False at the end. Throws UserError where a quote
  /// stands in the wrong place or is not closed, or the file cannot be read.
  bool next(std::vector<std::string>& fields);
  /// Where the last row ends, counted from 1.
  std::int64_t line() const;
  /// Lines that hold nothing between the row before the last one and the last one. Lines end in \n or \r\n here.
  std::int64_t blank_lines() const;
  /// A message about the last row: "data.csv:12: …".
  std::string at_line(const std::string& what) const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace starling::tasks
