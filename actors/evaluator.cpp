#include <starling/actors/evaluator.hpp>

#include <algorithm>
#include <deque>
#include <optional>

#include <starling/actors/role_count.hpp>

namespace starling::actors {
namespace {

/// LibTorch's messages go on with a back trace that does not belong in a journal.
std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

class Evaluator {
 public:
  Evaluator(EvaluatorActor::pointer self, EvaluatorWiring wiring, TrainerActor trainer)
      : self_(self), wiring_(std::move(wiring)), trainer_(std::move(trainer)) {
    self_->monitor(wiring_.population);
    self_->monitor(trainer_);
    self_->set_down_handler([this](caf::down_msg&) { end(); });
    demand(evaluator_credit);
  }

  ~Evaluator() {
    if (stop_) stop_->store(true);
  }

  void lease(Job job) {
    if (broken_) return give_back(job);
    waiting_.push_back(std::move(job));
    start_next();
  }

  void revoke(std::uint64_t id, std::uint32_t attempt) {
    if (running_ && running_->id == id && running_->attempt == attempt) {
      stop_->store(true);
      revoked_ = true;  // the trainer answers when it has noticed
      return;
    }
    if (std::erase_if(waiting_, [&](const Job& job) { return job.id == id && job.attempt == attempt; }) > 0) demand(1);
  }

  void recall(std::uint64_t id) {
    const auto job = std::find_if(waiting_.begin(), waiting_.end(), [&](const Job& each) { return each.id == id; });
    if (job == waiting_.end()) return;  // it has started meanwhile
    give_back(*job);
    waiting_.erase(job);
    demand(1);
  }

  void done(EvaluationMessage message) {
    if (!running_ || message.record.outcome.id != running_->id) return;
    if (!revoked_ && !running_->test_of.empty()) {
      self_->send(wiring_.recorder, evaluation_atom_v, TestMessage{test_result(message.record)});
    } else if (!revoked_) {
      message.record.worker = wiring_.worker;
      message.record.attempt = running_->attempt;
      message.record.training_seed = running_->training_seed;
      if (running_->tokens > 0) {
        self_->send(wiring_.recorder, evaluation_atom_v, RetrainingMessage{{running_->tokens, std::move(message.record)}});
      } else {
        self_->send(wiring_.recorder, evaluation_atom_v, std::move(message));
      }
    }
    finish_job();
  }

  void lost(std::uint64_t id, std::uint32_t attempt, const std::string& reason) {
    if (!running_ || id != running_->id) return;
    if (!revoked_) self_->send(wiring_.population, lost_atom_v, wiring_.worker, id, attempt, reason);
    finish_job();
  }

  void broken(std::uint64_t id, std::uint32_t attempt, const std::string& reason) {
    if (!wiring_.replaceable || !running_ || id != running_->id) return lost(id, attempt, reason);
    if (!revoked_) self_->send(wiring_.population, lost_atom_v, wiring_.worker, id, attempt, reason);
    broken_ = true;
    running_.reset();
    give_back_waiting();
    self_->send(wiring_.control, kill_atom_v, wiring_.worker, reason);
  }

  void progress(const Progress& progress) { self_->send(wiring_.control, progress_atom_v, wiring_.worker, progress); }

  void end() {
    if (stop_) stop_->store(true);
    give_back_waiting();
    self_->quit();
  }

 private:
  run::TestRecorded test_result(const run::EvaluationRecorded& measured) const {
    return {.candidate_id = running_->id,
            .loss = measured.loss,
            .bits_per_byte = measured.bits_per_byte,
            .accuracy = measured.accuracy,
            .worker = wiring_.worker,
            .duration_s = measured.duration_s,
            .time_utc = run::now_utc(),
            .asked_tokens = running_->tokens};
  }

  void demand(std::uint32_t credit) {
    self_->send(wiring_.population, demand_atom_v, wiring_.worker, wiring_.device, caf::actor_cast<EvaluatorActor>(self_), credit);
  }

  void give_back(const Job& job) { self_->send(wiring_.population, returned_atom_v, wiring_.worker, job.id, job.attempt); }

  void give_back_waiting() {
    for (const auto& job : waiting_) give_back(job);
    waiting_.clear();
  }

  void start_next() {
    if (running_ || waiting_.empty()) return;
    running_ = std::move(waiting_.front());
    waiting_.pop_front();
    revoked_ = false;
    stop_ = std::make_shared<std::atomic<bool>>(false);
    self_->send(wiring_.population, started_atom_v, wiring_.worker, running_->id, running_->attempt);
    self_->send(trainer_, train_atom_v, *running_, stop_);
  }

  void finish_job() {
    running_.reset();
    start_next();
    demand(1);
  }

  RoleCount count_;
  EvaluatorActor::pointer self_;
  EvaluatorWiring wiring_;
  TrainerActor trainer_;
  std::deque<Job> waiting_;
  std::optional<Job> running_;
  StopFlag stop_;
  bool revoked_ = false;
  bool broken_ = false;  ///< the process is about to be killed
};

}  // namespace

EvaluatorActor::behavior_type evaluator(EvaluatorActor::pointer self, EvaluatorWiring wiring, TrainerActor trainer) {
  auto state = std::make_shared<Evaluator>(self, std::move(wiring), std::move(trainer));
  return {
      [=](lease_atom, Job& job) { state->lease(std::move(job)); },
      [=](revoke_atom, std::uint64_t id, std::uint32_t attempt) { state->revoke(id, attempt); },
      [=](recall_atom, std::uint64_t id) { state->recall(id); },
      [=](done_atom, EvaluationMessage& message) { state->done(std::move(message)); },
      [=](lost_atom, std::uint64_t id, std::uint32_t attempt, const std::string& reason) { state->lost(id, attempt, reason); },
      [=](broken_atom, std::uint64_t id, std::uint32_t attempt, const std::string& reason) { state->broken(id, attempt, reason); },
      [=](progress_atom, const Progress& progress) { state->progress(progress); },
      [=](stop_atom) { state->end(); },
  };
}

TrainerActor::behavior_type trainer(TrainerActor::pointer self, Evaluate evaluate) {
  return {[=, count = RoleCount()](train_atom, const Job& job, const StopFlag& stop) {
    const auto front = caf::actor_cast<EvaluatorActor>(self->current_sender());
    try {
      auto record = evaluate(job, *stop, [&](const Progress& progress) { self->send(front, progress_atom_v, progress); });
      record.outcome.id = job.id;
      self->send(front, done_atom_v, EvaluationMessage{std::move(record)});
    } catch (const DeviceError& error) {
      self->send(front, broken_atom_v, job.id, job.attempt, first_line(error.what()));
    } catch (const std::exception& error) {
      self->send(front, lost_atom_v, job.id, job.attempt, first_line(error.what()));
    }
  }};
}

}  // namespace starling::actors
