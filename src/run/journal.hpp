// The journal: the truth of a run.
//
// Promise: a record for which append() … sync() returned is found again by every later reader, after kill -9 and after power loss. Records
// keep their order. A torn tail (the last append before a crash) is cut only where no valid record follows it; anything else that does not read is
// damage, refused with the offset and never cut.
//
// Layout: header {8 bytes magic "STARLING", u32 version, u32 crc32c of the first 12 bytes}, then records
// {u32 length, u32 crc32c(length, seq, payload), u64 seq, payload}, little-endian, seq from 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <starling/run/records.hpp>

namespace starling::run {

struct JournalEntry {
  std::uint64_t seq = 0;
  Record record;
};

class Journal {
 public:
  /// Creates `path` (fails where it exists) and makes its directory entry durable. Throws Failure.
  static Journal create(const std::filesystem::path& path);

  Journal(Journal&&) noexcept;
  Journal& operator=(Journal&&) noexcept;
  ~Journal();

  /// Adds a record to the end; it is durable after the next sync(). Returns its sequence number. Throws Failure (disk full …): the
  /// journal is then cut back to the last whole record and refuses further appends.
  std::uint64_t append(const Record& record);
  /// fdatasync: one for all the records appended since the last (group commit).
  void sync();
  std::uint64_t next_seq() const { return next_seq_; }

 private:
  Journal(int descriptor, std::uint64_t next_seq, std::uint64_t size);
  int descriptor_ = -1;
  std::uint64_t next_seq_ = 0;
  std::uint64_t size_ = 0;
  bool failed_ = false;
};

struct JournalContent {
  std::vector<JournalEntry> entries;
  std::uint64_t torn_bytes = 0;  ///< of an unfinished last record that was ignored
};

/// Reads a journal, also one that is being written. Throws UserError (no such file, not a journal, newer version) or Failure (damage: offset and remedy).
JournalContent read_journal(const std::filesystem::path& path);

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t crc = 0);

}  // namespace starling::run
