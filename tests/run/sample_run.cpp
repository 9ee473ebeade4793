#include "sample_run.hpp"

#include <algorithm>
#include <cmath>

namespace starling::run::testing {
namespace {

genome::Genome random_genome(Stream& stream) {
  genome::Genome genome;
  for (int liv = 0; liv < 6; ++liv) {
    genome::Liv l;
    l.liv_class = static_cast<std::int16_t>(1 + stream.below(12));
    l.feature_group = static_cast<std::int16_t>(1 + stream.below(3));
    l.feature_strategy = static_cast<std::int16_t>(1 + stream.below(2));
    genome.livs.push_back(l);
  }
  if (stream.chance(0.2)) genome.livs[1].segments[2] = 2;
  if (stream.chance(0.1)) genome.livs[4].segments[20] = 34;
  if (stream.chance(0.3)) genome.livs[2].path = genome.livs[3].path = genome.livs[5].route = 1;
  return genome;
}

RunStarted start(std::uint64_t population) {
  RunStarted started;
  started.run_uuid = "7d9f2f6e-52c4-4a87-9b7a-1f0f3f6b2d11";
  started.time_utc = "2026-01-31T12:34:56.789Z";
  started.experiment_toml = "name = \"sample\"\n# größer als ASCII\n[search]\npopulation = 8\n";
  started.command_line = "starling run sample.toml";
  started.starling_version = "0.1.0";
  started.git_commit = "0123456789abcdef";
  started.host = "here";
  started.seed = 7;
  started.objectives = {{"quality", "obj_quality", "nats/token", "minimise"}, {"cache", "obj_cache", "bytes", "minimise"}};
  started.population = population;
  started.catalogue = "liquid";
  return started;
}

CandidateAccepted candidate(std::uint64_t id, Stream& stream) {
  CandidateAccepted accepted;
  auto& c = accepted.candidate;
  c.id = id;
  c.index = id <= 2 ? 0 : id - 2;
  c.attempt = static_cast<std::uint32_t>(stream.below(3));
  c.genome = random_genome(stream);
  c.hash = stream.next64();
  c.generation = static_cast<double>(id) / 8;
  c.repairs.illegal_strategy = static_cast<std::uint32_t>(stream.below(4));
  if (id <= 2) {
    c.origin = search::Origin::baseline;
    c.name = id == 1 ? "transformer++" : "striped-mamba";
  } else if (id > 12) {
    c.origin = stream.chance(0.5) ? search::Origin::crossover : search::Origin::mutation;
    c.parents = {3 + stream.below(id - 3)};
    if (c.origin == search::Origin::crossover) c.parents.push_back(3 + stream.below(id - 3));
    c.changed_genes = static_cast<std::int32_t>(stream.below(12));
  }
  accepted.parameters = static_cast<std::int64_t>(100'000 + stream.below(900'000));
  accepted.time_utc = "2026-01-31T12:35:00.000Z";
  return accepted;
}

EvaluationRecorded evaluation(std::uint64_t id, std::size_t points, Stream& stream) {
  EvaluationRecorded record;
  record.outcome.id = id;
  record.worker = stream.chance(0.5) ? "w0" : "w1";
  record.training_seed = stream.next64();
  record.steps = static_cast<std::int64_t>(points);
  record.tokens = record.steps * 1024;
  record.started_utc = "2026-01-31T12:35:01.250Z";
  record.duration_s = 4.5 + stream.uniform();
  record.peak_mem_bytes = stream.below(1u << 30);
  record.parameters = static_cast<std::int64_t>(stream.below(1'000'000));
  record.cache_bytes = static_cast<std::int64_t>(1 + stream.below(64)) * 4096;
  for (std::size_t i = 0; i < points; ++i) {
    CurvePoint point;
    point.step = static_cast<std::int64_t>(i + 1);
    point.tokens = point.step * 1024;
    // Losses are float32 where they are computed.
    point.train_loss = static_cast<float>(2 + 3 * std::exp(-static_cast<double>(i) / 8) + 0.1 * stream.normal());
    if (i + 1 == points) point.val_loss = point.train_loss + 0.125;
    point.learning_rate = 8e-4 * std::cos(static_cast<double>(i) / static_cast<double>(points));
    point.grad_norm = static_cast<float>(1 + stream.uniform());
    point.elapsed_s = static_cast<double>(i) * 0.25;
    record.curve.push_back(point);
  }
  const bool fails = id > 2 && stream.chance(0.1);
  if (fails) {
    record.outcome.status = stream.chance(0.5) ? search::Status::diverged : search::Status::killed;
    record.reason = "loss is not finite at step 7; " + std::string(400, 'x');
    return record;
  }
  record.loss = 2 + stream.uniform();
  record.bits_per_byte = record.loss / std::log(2.0);
  record.outcome.objectives = {record.loss, static_cast<double>(record.cache_bytes)};
  if (stream.chance(0.3)) record.checkpoint = {"checkpoints/" + std::to_string(10'000'000 + id) + ".h5", 4096 + id, stream()};
  return record;
}

/// Candidate 1 is trained again: given up once, then with a result that comes twice.
void extend(std::vector<Record>& records, std::size_t points, Stream& stream) {
  records.emplace_back(ExtensionStarted{"2026-02-01T12:00:00.000Z", "starling retrain sample-1", "0.1.0", "abc", "there"});
  EvaluationRecorded killed;
  killed.outcome = {1, search::Status::killed, {}};
  killed.reason = "worker lost";
  records.emplace_back(RetrainingRecorded{40'960, killed});
  auto longer = evaluation(1, points, stream);
  longer.tokens *= 4;
  longer.outcome = {1, search::Status::ok, {longer.loss, static_cast<double>(longer.cache_bytes)}};
  longer.checkpoint = {};
  records.emplace_back(RetrainingRecorded{40'960, longer});
  longer.outcome.status = search::Status::superseded;
  longer.curve.clear();
  records.emplace_back(RetrainingRecorded{40'960, longer});
  records.emplace_back(
      TestRecorded{.candidate_id = 1, .loss = 1.5, .bits_per_byte = 2.5, .worker = "w0", .time_utc = {}, .asked_tokens = 40'960});
  records.emplace_back(ExtensionEnded{"done", "2026-02-01T12:01:00.500Z", 60.5, 50.25, 121.0, true, {{"cpu", 2, 50.25, 121.0}}});
}

}  // namespace

std::vector<Record> sample_run(const SampleSize& size, std::uint64_t seed) {
  Stream stream(seed, Purpose::test);
  std::vector<Record> records;
  records.emplace_back(start(size.population));
  records.emplace_back(WorkerJoined{"w0", "here", "cpu", 4711, "2026-01-31T12:34:57.000Z"});
  records.emplace_back(WorkerJoined{"w1", "here", "cuda:0", 4712, "2026-01-31T12:34:57.125Z"});
  records.emplace_back(ReferenceLoss{"unigram", 3.25, 4.6875});
  std::vector<CheckpointFile> kept;
  std::vector<std::uint64_t> kept_ids;
  for (std::uint64_t id = 1; id <= size.candidates; ++id) {
    records.emplace_back(candidate(id, stream));
    if (stream.chance(0.1)) records.emplace_back(AttemptLost{id, 1, "w1", "worker lost: signal 9", "2026-01-31T12:36:00.000Z"});
    auto record = evaluation(id, size.curve_points, stream);
    if (!record.checkpoint.path.empty()) {
      kept.push_back(record.checkpoint);
      kept_ids.push_back(id);
    }
    const bool again = stream.chance(0.1);
    records.emplace_back(record);
    if (again) {
      auto late = evaluation(id, size.curve_points, stream);
      late.outcome.status = search::Status::superseded;
      late.attempt = 2;
      late.checkpoint = {};
      records.emplace_back(late);
    }
    if (kept.size() > 4) {
      records.emplace_back(CheckpointDropped{kept_ids.front(), kept.front().path});
      kept.erase(kept.begin());
      kept_ids.erase(kept_ids.begin());
    }
  }
  if (!kept_ids.empty()) {
    records.emplace_back(TestRecorded{.candidate_id = kept_ids.back(),
                                      .loss = 2.5,
                                      .bits_per_byte = 3.5,
                                      .worker = "w0",
                                      .duration_s = 0.75,
                                      .time_utc = "2026-01-31T12:39:59.000Z"});
  }
  records.emplace_back(WorkerLeft{"w1", 4712, "signal 9", "2026-01-31T12:40:00.000Z"});
  records.emplace_back(DeviceGivenUp{"cuda:0", "5 candidates lost an attempt there", "2026-01-31T12:40:00.125Z"});
  records.emplace_back(
      RunEnded{"budget", "2026-01-31T12:41:00.500Z", 364.5, 700.25, 729.0, true, {{"cpu", 1, 350.25, 364.5}, {"cuda:0", 1, 350.0, 364.5}}});
  extend(records, size.curve_points, stream);
  return records;
}

std::vector<JournalEntry> as_entries(const std::vector<Record>& records) {
  std::vector<JournalEntry> entries;
  for (std::uint64_t seq = 0; seq < records.size(); ++seq) entries.push_back({seq, records[seq]});
  return entries;
}

}  // namespace starling::run::testing
