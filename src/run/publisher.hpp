// run.h5, the published view of a run (format 1.0): never written in place, so that readers see a whole file at every moment.
//
// Promise: run.h5 is always a complete file that plain h5py opens. Publishing writes the whole file to run.h5.tmp, fsyncs, renames and fsyncs the
// directory; an error leaves the old file as it was. Root attribute journal_next_seq says how far it is. Nothing is read back from an old file: a
// publisher that is given a journal from its first record on rebuilds the same content.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include <starling/run/journal.hpp>

namespace starling::run {

class Publisher {
 public:
  /// For a run directory; nothing is written yet.
  explicit Publisher(std::filesystem::path directory);
  ~Publisher();
  Publisher(Publisher&&) noexcept;
  Publisher& operator=(Publisher&&) noexcept;

  /// Takes records in journal order, from the first. Throws Failure where they do not follow each other or contradict the run's start.
  void add(const JournalEntry& entry);
  /// Brings run.h5 up to the last record taken; does nothing where it is. Throws Failure (also where less than twice its size is free: the
  /// journal needs the room more); the records stay and the next call tries again.
  void publish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::run
