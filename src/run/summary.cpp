#include <starling/run/summary.hpp>

#include <algorithm>
#include <cmath>

#include <starling/base/error.hpp>
#include <starling/search/pareto.hpp>

namespace starling::run {
namespace {

class Summariser {
 public:
  explicit Summariser(RunSummary& summary) : summary_(summary) {}

  void operator()(const RunStarted& record) { summary_.started = record; }
  void operator()(const CandidateAccepted& record) {
    summary_.candidates.insert_or_assign(record.candidate.id, record);
    if (record.candidate.origin == search::Origin::baseline) summary_.baselines.push_back(record.candidate.id);
  }
  void operator()(const EvaluationRecorded& record) {
    if (record.outcome.status == search::Status::superseded || !summary_.evaluations.try_emplace(record.outcome.id, record).second) {
      summary_.superseded.push_back(record);
    } else {
      summary_.evaluated.push_back(record.outcome.id);
    }
  }
  void operator()(const AttemptLost& record) { summary_.lost.push_back(record); }
  void operator()(const WorkerJoined& record) { summary_.workers.push_back(record); }
  void operator()(const WorkerLeft&) {}
  void operator()(const DeviceGivenUp& record) { summary_.given_up.push_back(record); }
  void operator()(const CheckpointDropped& record) {
    const auto found = summary_.evaluations.find(record.candidate_id);
    if (found != summary_.evaluations.end() && found->second.checkpoint.path == record.path) found->second.checkpoint = {};
  }
  void operator()(const ReferenceLoss& record) { summary_.references.push_back(record); }
  void operator()(const RunEnded& record) { summary_.ended = record; }
  void operator()(const TestRecorded& record) {
    if (record.asked_tokens > 0) {
      summary_.retraining_tests.try_emplace({record.candidate_id, record.asked_tokens}, record);
    } else {
      summary_.tests.try_emplace(record.candidate_id, record);
    }
  }
  void operator()(const RetrainingRecorded& record) {
    if (record.evaluation.outcome.status == search::Status::superseded) return summary_.superseded.push_back(record.evaluation);
    const RetrainingKey key{record.evaluation.outcome.id, record.asked_tokens};
    const auto [earlier, is_new] = summary_.retrainings.try_emplace(key, record.evaluation);
    if (!is_new && earlier->second.outcome.status == search::Status::killed) earlier->second = record.evaluation;
  }
  void operator()(const ExtensionStarted& record) { summary_.extensions.push_back({record, std::nullopt}); }
  void operator()(const ExtensionEnded& record) {
    if (!summary_.extensions.empty()) summary_.extensions.back().ended = record;
  }

 private:
  RunSummary& summary_;
};

std::vector<std::uint64_t> front_of(const RunSummary& summary) {
  std::vector<std::uint64_t> ids;
  search::Points points(summary.started.objectives.size());
  for (const auto& [id, evaluation] : summary.evaluations) {
    const auto candidate = summary.candidates.find(id);
    const bool baseline = candidate != summary.candidates.end() && candidate->second.candidate.origin == search::Origin::baseline;
    if (evaluation.outcome.status != search::Status::ok || baseline) continue;
    if (evaluation.outcome.objectives.size() != summary.started.objectives.size()) {
      throw Failure("candidate " + std::to_string(id) + " has " + std::to_string(evaluation.outcome.objectives.size()) +
                    " objectives, the run " + std::to_string(summary.started.objectives.size()));
    }
    // An objective that is not finite enters nothing, as in the search itself.
    if (!std::ranges::all_of(evaluation.outcome.objectives, [](double value) { return std::isfinite(value); })) continue;
    ids.push_back(id);
    points.add(evaluation.outcome.objectives);
  }
  std::vector<std::uint64_t> front;
  if (points.objectives() == 0) return front;
  for (const auto index : search::nondominated(points)) front.push_back(ids[index]);
  const auto& evaluations = summary.evaluations;
  std::sort(front.begin(), front.end(), [&](std::uint64_t a, std::uint64_t b) {
    const auto& left = evaluations.at(a).outcome.objectives;
    const auto& right = evaluations.at(b).outcome.objectives;
    return left != right ? left < right : a < b;
  });
  return front;
}

}  // namespace

RunSummary summarise(const std::vector<JournalEntry>& entries) {
  if (entries.empty() || !std::holds_alternative<RunStarted>(entries.front().record)) {
    throw UserError("the journal does not begin with the start of a run: the run ended before it began");
  }
  RunSummary summary;
  Summariser summariser(summary);
  for (const auto& entry : entries) std::visit(summariser, entry.record);
  summary.front = front_of(summary);
  return summary;
}

RunSummary summarise(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) throw UserError(directory.string() + ": no such run directory");
  const auto journal = directory / "journal";
  if (!std::filesystem::exists(journal, error)) {
    throw UserError(directory.string() + ": not a run directory (it has no file 'journal')");
  }
  const auto content = read_journal(journal);
  try {
    return summarise(content.entries);
  } catch (const UserError& error_in_entries) {
    throw UserError(journal.string() + ": " + error_in_entries.what());
  }
}

}  // namespace starling::run
