// A run as `starling show` and `starling front` present it, read from its journal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <starling/run/journal.hpp>
#include <starling/run/records.hpp>

namespace starling::run {

/// One of a candidate: by its id and the tokens asked for.
using RetrainingKey = std::pair<std::uint64_t, std::int64_t>;

struct Extension {
  ExtensionStarted started;
  std::optional<ExtensionEnded> ended;
};

struct RunSummary {
  RunStarted started;
  std::optional<RunEnded> ended;
  std::map<std::uint64_t, CandidateAccepted> candidates;
  std::map<std::uint64_t, EvaluationRecorded> evaluations;  ///< the one that counts, by candidate
  std::vector<std::uint64_t> evaluated;                     ///< their ids, in the order in which they were recorded
  std::map<std::uint64_t, TestRecorded> tests;              ///< the first of a candidate
  std::map<RetrainingKey, EvaluationRecorded> retrainings;  ///< the one that counts
  std::map<RetrainingKey, TestRecorded> retraining_tests;
  std::vector<Extension> extensions;
  std::vector<EvaluationRecorded> superseded;
  std::vector<AttemptLost> lost;
  std::vector<WorkerJoined> workers;
  std::vector<DeviceGivenUp> given_up;
  std::vector<ReferenceLoss> references;
  std::vector<std::uint64_t> front;  ///< non-dominated ok candidates by the objectives, baselines excluded, sorted by the first objective
  std::vector<std::uint64_t> baselines;
};

/// Throws as read_journal; UserError where `directory` is no run directory.
RunSummary summarise(const std::filesystem::path& directory);
RunSummary summarise(const std::vector<JournalEntry>& entries);

}  // namespace starling::run
