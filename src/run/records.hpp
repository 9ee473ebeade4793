// What a run records, in the order it happened. The journal holds these; everything else (run.h5, the population's state) follows from
// them.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <starling/search/candidate.hpp>

namespace starling::run {

inline constexpr double none = std::numeric_limits<double>::quiet_NaN();

struct ObjectiveInfo {
  std::string name;    ///< "quality"
  std::string column;  ///< "obj_quality"
  std::string unit;
  std::string direction = "minimise";
};

/// First record of every journal.
struct RunStarted {
  std::string run_uuid;
  std::string time_utc;         ///< ISO 8601 with milliseconds, like every time here
  std::string experiment_toml;  ///< resolved
  std::string command_line;
  std::string starling_version;
  std::string git_commit;
  std::string host;
  std::uint64_t seed = 0;
  std::vector<ObjectiveInfo> objectives;
  std::uint64_t population = 0;  ///< capacity; with `seed` it repeats who entered and who left
  std::string catalogue;         ///< name of the class catalogue the genomes refer to
};

struct CandidateAccepted {
  search::Candidate candidate;
  std::int64_t parameters = 0;  ///< total, by formula
  std::string time_utc;
  std::int64_t width = 0;        ///< channels; 0 in older journals: the experiment's
  std::uint64_t matched_to = 0;  ///< of a baseline: the candidate whose size it was given; 0: it has the experiment's own
};

/// One point of a learning curve; val_loss is NaN where it was not measured.
struct CurvePoint {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double train_loss = none;
  double val_loss = none;
  double learning_rate = 0;
  double grad_norm = none;
  double elapsed_s = 0;
};

struct CheckpointFile {
  std::string path;  ///< relative to the run directory; "" where none was kept
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
};

/// The end of a candidate. status superseded: another result of the same candidate was durable first.
struct EvaluationRecorded {
  search::Outcome outcome;
  std::uint32_t attempt = 1;
  std::string reason;  ///< why it diverged or was killed; "" where ok
  std::string worker;
  std::uint64_t training_seed = 0;
  std::int64_t steps = 0;
  std::int64_t tokens = 0;
  std::int64_t micro_batch_tokens = 0;  ///< trained on at once at the end; 0 where nobody said
  std::string started_utc;
  double duration_s = 0;
  std::uint64_t peak_mem_bytes = 0;
  // Measures that are reported whether or not they are objectives; NaN where they do not apply.
  double loss = none;  ///< validation loss, nats per token; of a series the mean squared error
  double bits_per_byte = none;
  double accuracy = none;
  std::int64_t parameters = 0;
  std::int64_t cache_bytes = 0;  ///< by formula, 2 bytes per element
  std::vector<CurvePoint> curve;
  CheckpointFile checkpoint;
};

/// A candidate trained once more, from its start, on another number of tokens than the search gave it: `starling retrain`. Of several of
/// one candidate and number the first counts that was not killed.
struct RetrainingRecorded {
  std::int64_t asked_tokens = 0;  ///< with the candidate's id it names the retraining; what was trained on are whole batches
  EvaluationRecorded evaluation;
};

/// What a candidate's kept weights reach on the test part, which the search never looks at: measured once, when the search is over, of the
/// front and the baselines, and of every retraining. NaN where a measure does not apply.
struct TestRecorded {
  std::uint64_t candidate_id = 0;
  double loss = none;  ///< as that of EvaluationRecorded
  double bits_per_byte = none;
  double accuracy = none;
  std::string worker;
  double duration_s = 0;
  std::string time_utc;
  std::int64_t asked_tokens = 0;  ///< of the retraining whose weights these are; 0: the search's own
};

/// An attempt that ended without a result (worker lost, deadline passed, exception).
struct AttemptLost {
  std::uint64_t candidate_id = 0;
  std::uint32_t attempt = 0;
  std::string worker;
  std::string reason;
  std::string time_utc;
};

struct WorkerJoined {
  std::string worker;  ///< "w0"
  std::string host;
  std::string device;  ///< "cpu"
  std::int64_t pid = 0;
  std::string time_utc;
};

struct WorkerLeft {
  std::string worker;
  std::int64_t pid = 0;
  std::string reason;
  std::string time_utc;
};

/// A device that is not used any more in this search or extension.
struct DeviceGivenUp {
  std::string device;
  std::string reason;
  std::string time_utc;
};

/// A checkpoint that is no longer on the front; the file is deleted after this is durable.
struct CheckpointDropped {
  std::uint64_t candidate_id = 0;
  std::string path;
};

/// Reference losses of the validation part: unigram and bigram, or mean and last value of a series.
struct ReferenceLoss {
  std::string name;
  double loss = none;
  double bits_per_byte = none;
};

/// What the workers of one device did.
struct DeviceUse {
  std::string device;
  std::int64_t workers = 0;
  double busy_s = 0;    ///< Σ over them of the time spent evaluating
  double worker_s = 0;  ///< Σ over them of the time they could have
};

struct RunEnded {
  std::string reason;  ///< "budget", "interrupted", "space exhausted", …
  std::string time_utc;
  double wall_s = 0;
  double busy_s = 0;    ///< Σ over workers of the time spent evaluating
  double worker_s = 0;  ///< Σ over workers of the time they could have
  bool complete = false;
  std::vector<DeviceUse> devices{};  ///< empty in older journals
};

/// Something is added to a run that has ended: baselines, retrainings.
struct ExtensionStarted {
  std::string time_utc;
  std::string command_line;
  std::string starling_version;
  std::string git_commit;
  std::string host;
};

struct ExtensionEnded {
  std::string reason;  ///< "done", "interrupted", …
  std::string time_utc;
  double wall_s = 0;
  double busy_s = 0;    ///< as in RunEnded
  double worker_s = 0;  ///< as in RunEnded
  bool complete = false;
  std::vector<DeviceUse> devices{};
};

using Record = std::variant<RunStarted, CandidateAccepted, EvaluationRecorded, AttemptLost, WorkerJoined, WorkerLeft, CheckpointDropped,
                            ReferenceLoss, RunEnded, TestRecorded, RetrainingRecorded, ExtensionStarted, ExtensionEnded, DeviceGivenUp>;

/// CBOR, self-describing: {"type": "...", fields by name}; readers ignore fields they do not know. Doubles keep every bit (NaN and ±inf
/// too): a NaN other than the default one is written as a byte string of its 8 bytes. Curves are one byte string per column,
/// little-endian i64 or f64.
std::vector<std::uint8_t> encode(const Record& record);
/// Throws Failure where the bytes are not a record: what is missing or of the wrong kind.
Record decode(std::span<const std::uint8_t> bytes);

/// Now, as "2026-01-31T12:34:56.789Z".
std::string now_utc();
/// A time of that form some seconds later; "" where `time` is not of that form or the sum is not finite.
std::string later_utc(const std::string& time, double seconds);

}  // namespace starling::run
