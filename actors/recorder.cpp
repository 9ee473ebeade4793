#include <starling/actors/recorder.hpp>

#include <set>
#include <unordered_set>

#include <starling/actors/role_count.hpp>

namespace starling::actors {
namespace {

class Recorder {
 public:
  Recorder(RecorderActor::pointer self, std::shared_ptr<run::Journal> journal, std::filesystem::path directory, ControlActor control,
           const EarlierEntries& earlier)
      : self_(self), journal_(std::move(journal)), directory_(std::move(directory)), control_(std::move(control)) {
    if (earlier == nullptr) return;
    for (const auto& entry : *earlier) std::visit([this](const auto& record) { is_first(record); }, entry.record);
  }

  void add_listener(ListenerActor listener) { listeners_.push_back(std::move(listener)); }

  void append(run::Record record) {
    guarded([&] {
      const bool first = std::visit([this](const auto& each) { return is_first(each); }, record);
      if (auto* evaluation = std::get_if<run::EvaluationRecorded>(&record); evaluation && !first) {
        evaluation->outcome.status = search::Status::superseded;
      }
      if (auto* retraining = std::get_if<run::RetrainingRecorded>(&record); retraining && !first) {
        retraining->evaluation.outcome.status = search::Status::superseded;
      }
      // The same weights on the same text: a second measurement, from a lease that had expired, says nothing new.
      if (std::holds_alternative<run::TestRecorded>(record) && !first) return;
      const auto seq = journal_->append(record);
      pending_.push_back(std::make_shared<const run::JournalEntry>(run::JournalEntry{seq, std::move(record)}));
      // Group commit: what is in the mailbox already is appended before this message comes back.
      if (pending_.size() == 1) self_->send(self_, sync_atom_v);
    });
  }

  void commit() {
    if (pending_.empty()) return;
    guarded([&] {
      journal_->sync();
      for (const auto& entry : std::exchange(pending_, {})) {
        if (const auto* dropped = std::get_if<run::CheckpointDropped>(&entry->record)) {
          std::error_code ignored;  // a file too many is no reason to stop
          std::filesystem::remove(directory_ / dropped->path, ignored);
        }
        for (const auto& listener : listeners_) self_->send(listener, durable_atom_v, entry);
      }
    });
  }

  std::uint64_t next_seq() const { return journal_->next_seq(); }

 private:
  /// Whether it is the first result of its kind for its candidate; it is remembered.
  bool is_first(const run::EvaluationRecorded& record) { return final_.insert(record.outcome.id).second; }
  bool is_first(const run::RetrainingRecorded& record) {
    const std::pair key{record.evaluation.outcome.id, record.asked_tokens};
    // One that was killed may be tried again later.
    if (record.evaluation.outcome.status == search::Status::killed) return !retrained_.contains(key);
    return retrained_.insert(key).second;
  }
  bool is_first(const run::TestRecorded& record) { return tested_.insert({record.candidate_id, record.asked_tokens}).second; }
  template <class Other>
  bool is_first(const Other&) {
    return true;
  }

  template <class F>
  void guarded(F&& action) {
    if (failed_) return;
    try {
      action();
    } catch (const std::exception& error) {
      failed_ = true;
      pending_.clear();
      self_->send(control_, finished_atom_v, std::string("journal: ") + error.what());
      self_->quit(caf::sec::runtime_error);
    }
  }

  RoleCount count_;
  RecorderActor::pointer self_;
  std::shared_ptr<run::Journal> journal_;
  std::filesystem::path directory_;
  ControlActor control_;
  std::vector<ListenerActor> listeners_;
  std::vector<EntryPtr> pending_;  ///< appended, not yet durable
  std::unordered_set<std::uint64_t> final_;
  std::set<std::pair<std::uint64_t, std::int64_t>> retrained_;  ///< id, tokens asked for
  std::set<std::pair<std::uint64_t, std::int64_t>> tested_;     ///< the same; 0 tokens are the search's
  bool failed_ = false;
};

}  // namespace

RecorderActor::behavior_type recorder(RecorderActor::pointer self, std::shared_ptr<run::Journal> journal, std::filesystem::path directory,
                                      ControlActor control, EarlierEntries earlier) {
  auto state = std::make_shared<Recorder>(self, std::move(journal), std::move(directory), std::move(control), earlier);
  return {
      [=](record_atom, const RecordPtr& record) { state->append(*record); },
      [=](evaluation_atom, EvaluationMessage& message) { state->append(std::move(message.record)); },
      [=](evaluation_atom, TestMessage& message) { state->append(std::move(message.record)); },
      [=](evaluation_atom, RetrainingMessage& message) { state->append(std::move(message.record)); },
      [=](listen_atom, const ListenerActor& listener) { state->add_listener(listener); },
      [=](sync_atom) { state->commit(); },
      [=](flush_atom) {
        state->commit();
        return state->next_seq();
      },
  };
}

}  // namespace starling::actors
