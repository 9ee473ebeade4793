// The fields of every record, once: encoding, decoding and tests walk the same lists. Private to this floor.
#pragma once

#include <concepts>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <starling/run/records.hpp>

namespace starling::run {

/// T or const T.
template <class R, class T>
concept Maybe = std::same_as<std::remove_const_t<R>, T>;

/// Third argument for a field that journals written before it was invented lack: it keeps its initial value.
struct AddedLater {};

// The name in the journal of each kind of record; never change one that was released.
inline constexpr std::string_view kind_of(const RunStarted&) { return "run_started"; }
inline constexpr std::string_view kind_of(const CandidateAccepted&) { return "candidate_accepted"; }
inline constexpr std::string_view kind_of(const EvaluationRecorded&) { return "evaluation_recorded"; }
inline constexpr std::string_view kind_of(const AttemptLost&) { return "attempt_lost"; }
inline constexpr std::string_view kind_of(const WorkerJoined&) { return "worker_joined"; }
inline constexpr std::string_view kind_of(const WorkerLeft&) { return "worker_left"; }
inline constexpr std::string_view kind_of(const CheckpointDropped&) { return "checkpoint_dropped"; }
inline constexpr std::string_view kind_of(const ReferenceLoss&) { return "reference_loss"; }
inline constexpr std::string_view kind_of(const RunEnded&) { return "run_ended"; }
inline constexpr std::string_view kind_of(const TestRecorded&) { return "test_recorded"; }
inline constexpr std::string_view kind_of(const RetrainingRecorded&) { return "retraining_recorded"; }
inline constexpr std::string_view kind_of(const ExtensionStarted&) { return "extension_started"; }
inline constexpr std::string_view kind_of(const ExtensionEnded&) { return "extension_ended"; }
inline constexpr std::string_view kind_of(const DeviceGivenUp&) { return "device_given_up"; }

/// Calls f(name, member) or f(name, member, AddedLater{}) for every field, in order.
template <class F, Maybe<ObjectiveInfo> R>
void each_field(R& r, F&& f) {
  f("name", r.name);
  f("column", r.column);
  f("unit", r.unit);
  f("direction", r.direction);
}

template <class F, Maybe<genome::Repairs> R>
void each_field(R& r, F&& f) {
  f("class_out_of_range", r.class_out_of_range);
  f("illegal_integer", r.illegal_integer);
  f("illegal_strategy", r.illegal_strategy);
  f("lonely_group", r.lonely_group);
  f("composition", r.composition);
  f("lonely_path", r.lonely_path, AddedLater{});
  f("illegal_operator", r.illegal_operator, AddedLater{});
  f("illegal_featurizer", r.illegal_featurizer, AddedLater{});
}

template <class F, Maybe<search::Candidate> R>
void each_field(R& r, F&& f) {
  f("id", r.id);
  f("index", r.index);
  f("attempt", r.attempt);
  f("origin", r.origin);
  f("name", r.name);
  f("genome", r.genome);
  f("hash", r.hash);
  f("parents", r.parents);
  f("generation", r.generation);
  f("repairs", r.repairs);
  f("changed_genes", r.changed_genes);
}

template <class F, Maybe<search::Outcome> R>
void each_field(R& r, F&& f) {
  f("id", r.id);
  f("status", r.status);
  f("objectives", r.objectives);
}

template <class F, Maybe<CheckpointFile> R>
void each_field(R& r, F&& f) {
  f("path", r.path);
  f("bytes", r.bytes);
  f("crc32c", r.crc32c);
}

template <class F, Maybe<RunStarted> R>
void each_field(R& r, F&& f) {
  f("run_uuid", r.run_uuid);
  f("time_utc", r.time_utc);
  f("experiment_toml", r.experiment_toml);
  f("command_line", r.command_line);
  f("starling_version", r.starling_version);
  f("git_commit", r.git_commit);
  f("host", r.host);
  f("seed", r.seed);
  f("objectives", r.objectives);
  f("population", r.population);
  f("catalogue", r.catalogue);
}

template <class F, Maybe<CandidateAccepted> R>
void each_field(R& r, F&& f) {
  f("candidate", r.candidate);
  f("parameters", r.parameters);
  f("time_utc", r.time_utc);
  f("width", r.width, AddedLater{});
  f("matched_to", r.matched_to, AddedLater{});
}

template <class F, Maybe<EvaluationRecorded> R>
void each_field(R& r, F&& f) {
  f("outcome", r.outcome);
  f("attempt", r.attempt);
  f("reason", r.reason);
  f("worker", r.worker);
  f("training_seed", r.training_seed);
  f("steps", r.steps);
  f("tokens", r.tokens);
  f("micro_batch_tokens", r.micro_batch_tokens, AddedLater{});
  f("started_utc", r.started_utc);
  f("duration_s", r.duration_s);
  f("peak_mem_bytes", r.peak_mem_bytes);
  f("loss", r.loss);
  f("bits_per_byte", r.bits_per_byte);
  f("accuracy", r.accuracy);
  f("parameters", r.parameters);
  f("cache_bytes", r.cache_bytes);
  f("curve", r.curve);
  f("checkpoint", r.checkpoint);
}

template <class F, Maybe<AttemptLost> R>
void each_field(R& r, F&& f) {
  f("candidate_id", r.candidate_id);
  f("attempt", r.attempt);
  f("worker", r.worker);
  f("reason", r.reason);
  f("time_utc", r.time_utc);
}

template <class F, Maybe<WorkerJoined> R>
void each_field(R& r, F&& f) {
  f("worker", r.worker);
  f("host", r.host);
  f("device", r.device);
  f("pid", r.pid);
  f("time_utc", r.time_utc);
}

template <class F, Maybe<WorkerLeft> R>
void each_field(R& r, F&& f) {
  f("worker", r.worker);
  f("pid", r.pid);
  f("reason", r.reason);
  f("time_utc", r.time_utc);
}

template <class F, Maybe<CheckpointDropped> R>
void each_field(R& r, F&& f) {
  f("candidate_id", r.candidate_id);
  f("path", r.path);
}

template <class F, Maybe<ReferenceLoss> R>
void each_field(R& r, F&& f) {
  f("name", r.name);
  f("loss", r.loss);
  f("bits_per_byte", r.bits_per_byte);
}

template <class F, Maybe<DeviceGivenUp> R>
void each_field(R& r, F&& f) {
  f("device", r.device);
  f("reason", r.reason);
  f("time_utc", r.time_utc);
}

template <class F, Maybe<DeviceUse> R>
void each_field(R& r, F&& f) {
  f("device", r.device);
  f("workers", r.workers);
  f("busy_s", r.busy_s);
  f("worker_s", r.worker_s);
}

template <class F, Maybe<RunEnded> R>
void each_field(R& r, F&& f) {
  f("reason", r.reason);
  f("time_utc", r.time_utc);
  f("wall_s", r.wall_s);
  f("busy_s", r.busy_s);
  f("worker_s", r.worker_s);
  f("complete", r.complete);
  f("devices", r.devices, AddedLater{});
}

template <class F, Maybe<TestRecorded> R>
void each_field(R& r, F&& f) {
  f("candidate_id", r.candidate_id);
  f("loss", r.loss);
  f("bits_per_byte", r.bits_per_byte);
  f("accuracy", r.accuracy);
  f("worker", r.worker);
  f("duration_s", r.duration_s);
  f("time_utc", r.time_utc);
  f("asked_tokens", r.asked_tokens, AddedLater{});
}

template <class F, Maybe<RetrainingRecorded> R>
void each_field(R& r, F&& f) {
  f("asked_tokens", r.asked_tokens);
  f("evaluation", r.evaluation);
}

template <class F, Maybe<ExtensionStarted> R>
void each_field(R& r, F&& f) {
  f("time_utc", r.time_utc);
  f("command_line", r.command_line);
  f("starling_version", r.starling_version);
  f("git_commit", r.git_commit);
  f("host", r.host);
}

template <class F, Maybe<ExtensionEnded> R>
void each_field(R& r, F&& f) {
  f("reason", r.reason);
  f("time_utc", r.time_utc);
  f("wall_s", r.wall_s);
  f("busy_s", r.busy_s);
  f("worker_s", r.worker_s);
  f("complete", r.complete);
  f("devices", r.devices, AddedLater{});
}

/// Calls f(name, pointer to member) for every column of a learning curve.
template <class F>
void each_curve_column(F&& f) {
  f("step", &CurvePoint::step);
  f("tokens", &CurvePoint::tokens);
  f("train_loss", &CurvePoint::train_loss);
  f("val_loss", &CurvePoint::val_loss);
  f("learning_rate", &CurvePoint::learning_rate);
  f("grad_norm", &CurvePoint::grad_norm);
  f("elapsed_s", &CurvePoint::elapsed_s);
}

}  // namespace starling::run
