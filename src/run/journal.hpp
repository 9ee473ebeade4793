// The journal: the truth of a run.
//
// Promise: a record for which append() … sync() returned is found again by every later reader, after kill -9 and after power loss. Records
// keep their order. A torn tail (the last append before a crash) is cut only where no valid record follows it; anything else that does not
// read is damage, refused with the offset and never cut.
//
// Layout: header {8 bytes magic "STARLING", u32 version, u32 crc32c of the first 12 bytes}, then records
// {u32 length, u32 crc32c(length, seq, payload), u64 seq, payload}, little-endian, seq from 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <starling/run/crc32c.hpp>
#include <starling/run/files.hpp>
#include <starling/run/records.hpp>

namespace starling::run {

struct JournalEntry {
  std::uint64_t seq = 0;
  Record record;
};

struct JournalContent {
  std::vector<JournalEntry> entries;
  std::uint64_t torn_bytes = 0;  ///< of unfinished records at the end that were ignored
};

/// Locked (flock) as long as it lives: of two processes that would write to one journal the second is refused. The lock goes with its
/// process, however that ends. Where a file system has no locks nobody is kept out.
class Journal {
 public:
  /// Creates `path` (fails where it exists) and makes its directory entry durable. Throws Failure.
  static Journal create(const std::filesystem::path& path);
  struct Opened;
  /// Opens one to go on where it ends; a torn tail is cut. Throws as read_journal(), and UserError where another process writes to it.
  static Opened open(const std::filesystem::path& path);

  /// Adds a record to the end; it is durable after the next sync(). Returns its sequence number. Throws Failure (disk full …): the
  /// journal is then cut back to the last whole record and refuses further appends; sync() still makes durable what was appended before.
  std::uint64_t append(const Record& record);
  /// fdatasync: one for all the records appended since the last (group commit). Throws Failure: what was appended since the last
  /// successful sync() may be lost, and the journal refuses everything from then on (Linux drops pages that it could not write, so a
  /// second fdatasync would succeed without having written them).
  void sync();
  std::uint64_t next_seq() const { return next_seq_; }

 private:
  Journal(Descriptor file, std::filesystem::path path, std::uint64_t size);
  Descriptor file_;
  std::filesystem::path path_;
  std::uint64_t next_seq_ = 0;
  std::uint64_t size_ = 0;
  bool unsynced_ = false;
  bool refuses_appends_ = false;
  bool refuses_syncs_ = false;
};

struct Journal::Opened {
  Journal journal;
  JournalContent content;
};

/// Reads a journal, also one that is being written. Throws UserError (no such file, not a journal, newer version) or Failure (damage:
/// offset and remedy). A last record of full length whose checksum is wrong is a torn tail too: after power loss the length of a file can
/// be durable and its pages not, and a record that was acknowledged cannot be told from one that was not.
JournalContent read_journal(const std::filesystem::path& path);

}  // namespace starling::run
