#include <starling/actors/supervisor.hpp>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include <starling/actors/errands.hpp>
#include <starling/actors/evaluator.hpp>
#include <starling/actors/mutation.hpp>
#include <starling/actors/population.hpp>
#include <starling/actors/publisher.hpp>
#include <starling/actors/recorder.hpp>
#include <starling/actors/role_count.hpp>
#include <starling/actors/selection.hpp>
#include <starling/actors/worker_process.hpp>
#include <starling/experiment/placement.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/validity.hpp>

namespace starling::actors {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds tick_interval{100};
constexpr milliseconds first_pause{500};
constexpr milliseconds longest_pause{30'000};
constexpr milliseconds patience{5'000};  ///< for workers that were asked to end
constexpr int deaths_before_ready = 3;
constexpr const char* in_process = "in-process";

std::string secret() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 8; ++i) {
    char word[9];
    std::snprintf(word, sizeof word, "%08x", device());
    text += word;
  }
  return text;
}

std::string worker_name(std::size_t number) { return std::string("w").append(std::to_string(number)); }

milliseconds least_deadline(const experiment::Experiment& experiment) {
  return milliseconds(static_cast<std::int64_t>(experiment.worker_options.deadline_minutes * 60'000));
}

/// As evaluators name them.
std::set<std::string> devices(const EngineSetup& setup) {
  if (setup.evaluate) return {in_process};
  const auto places = experiment::placement(setup.experiment);
  return {places.begin(), places.end()};
}

ErrandSettings errand_settings(const EngineSetup& setup) {
  return {.jobs = setup.extension->jobs,
          .attempts = static_cast<std::uint32_t>(setup.experiment.worker_options.attempts),
          .give_up_after = static_cast<std::uint32_t>(setup.experiment.worker_options.give_up_after),
          .least_deadline = least_deadline_of_errands(least_deadline(setup.experiment), setup.experiment.training.tokens,
                                                      setup.extension->jobs, *setup.extension->earlier),
          .devices = devices(setup),
          .test = setup.experiment.worker_options.test};
}

PopulationSettings population_settings(const EngineSetup& setup) {
  const auto& experiment = setup.experiment;
  PopulationSettings settings;
  settings.search = experiment::search_settings(experiment);
  settings.dimensions = experiment::dimensions(experiment);
  settings.devices = devices(setup);
  settings.least_deadline = least_deadline(experiment);
  settings.give_up_after = static_cast<std::uint32_t>(experiment.worker_options.give_up_after);
  settings.test = experiment.worker_options.test;
  const auto& space = settings.search.breeding.space;
  for (const auto& name : experiment.search.baselines) {
    search::Candidate baseline;
    baseline.origin = search::Origin::baseline;
    baseline.name = name;
    baseline.genome = genome::canonical(*space.catalogue, genome::baseline(*space.catalogue, name, space.depth));
    baseline.hash = genome::phenotype_hash(*space.catalogue, baseline.genome);
    settings.baselines.push_back(std::move(baseline));
  }
  return settings;
}

class Supervisor {
 public:
  Supervisor(SupervisorActor::pointer self, std::shared_ptr<const EngineSetup> setup, std::shared_ptr<run::Journal> journal,
             std::function<void(RunResult)> concluded)
      : self_(self),
        setup_(std::move(setup)),
        concluded_(std::move(concluded)),
        token_(secret()),
        placement_(experiment::placement(setup_->experiment)) {
    const auto control = caf::actor_cast<ControlActor>(self_);
    const auto& extension = setup_->extension;
    const auto earlier = extension ? extension->earlier : nullptr;
    // Links: a role that fails shows here, and none outlives the supervisor, however that ends.
    self_->set_exit_handler([this](const caf::exit_msg& message) { role_ended(message); });
    recorder_ = self_->spawn<caf::linked>(recorder, std::move(journal), setup_->directory, control, earlier);
    publisher_ = self_->spawn<caf::linked>(publisher, setup_->directory, setup_->publish_pause, earlier);
    self_->send(recorder_, listen_atom_v, caf::actor_cast<ListenerActor>(publisher_));
    self_->send(recorder_, listen_atom_v, caf::actor_cast<ListenerActor>(self_));
    if (extension) {
      population_ = self_->spawn<caf::linked>(errands, errand_settings(*setup_), ErrandWiring{recorder_, control});
      record(extension->started);
      for (const auto& candidate : extension->candidates) record(candidate);
      for (const auto& entry : *earlier) {
        if (const auto* reference = std::get_if<run::ReferenceLoss>(&entry.record)) references_.push_back(*reference);
      }
      return;
    }
    const auto settings = population_settings(*setup_);
    mutation_ = self_->spawn<caf::linked>(mutation, settings.search.breeding);
    selection_ = self_->spawn<caf::linked>(selection, settings.search.breeding, mutation_);
    population_ = self_->spawn<caf::linked>(population, settings, PopulationWiring{selection_, recorder_, control});
    record(setup_->started);
  }

  void begin(std::uint16_t port) {
    port_ = port;
    begun_ = Clock::now();
    if (setup_->evaluate) {
      start_local_evaluators();
    } else {
      for (const auto& device : placement_) {
        ++devices_[device].workers;
        auto& slot = slots_.emplace_back();
        slot.name = worker_name(slots_.size() - 1);
        slot.device = device;
      }
    }
    self_->send(population_, begin_atom_v);
    tick();
  }

  caf::result<WorkerWelcome> hello(const WorkerHello& hello) {
    const auto slot = find(hello.worker);
    if (hello.token != token_ || slot == slots_.end() || hello.device != slot->device || phase_ != Phase::running)
      return caf::make_error(caf::sec::invalid_argument);
    joined(hello);
    return WorkerWelcome{experiment::to_toml(setup_->experiment), setup_->directory.string(), population_, recorder_};
  }

  void ready(const std::string& worker, const std::vector<ReferenceMessage>& references) {
    if (const auto slot = find(worker); slot != slots_.end()) slot->ready = true;
    if (references_.empty()) {
      for (const auto& reference : references) record(references_.emplace_back(reference.record));
    } else if (!are_those_recorded(references)) {
      end("the validation part that worker " + worker +
              " has read is not the one that this run is measured on: task.files have changed since",
          false, true);
    }
  }

  /// The worker cannot begin.
  void refuse(const std::string& worker, const std::string& why, bool bad_input) {
    if (bad_input) return end(why, false, true);
    kill_worker(worker, why);
  }

  void finished(const std::string& reason) {
    const bool complete = reason == "budget" || reason == "space exhausted" || reason == "done";
    if (reason.starts_with("journal: ")) {
      journal_failed_ = true;
      result_.reason = reason;  // also where the run is ending for another: its end could not be recorded
      result_.complete = false;
    }
    end(reason, complete);
  }

  void stop() {
    if (phase_ == Phase::ending) kill_workers();
    end("interrupted");
  }

  /// The publisher is missed when it is asked to publish at last; everybody else is needed.
  void role_ended(const caf::exit_msg& message) {
    if (message.source == publisher_.address()) return;
    // As a message of its own: this one has overtaken the reason that the role gave before it ended.
    self_->send(self_, finished_atom_v, "a role of the search failed: " + self_->system().render(message.reason));
  }

  void kill_worker(const std::string& worker, const std::string& why) {
    if (const auto slot = find(worker); slot != slots_.end()) kill(*slot, why);
  }

  void durable(const EntryPtr& entry) {
    if (const auto* evaluation = std::get_if<run::EvaluationRecorded>(&entry->record)) finished(*evaluation);
    if (const auto* retraining = std::get_if<run::RetrainingRecorded>(&entry->record)) finished(retraining->evaluation);
    if (const auto* test = std::get_if<run::TestRecorded>(&entry->record)) worked(test->worker, test->duration_s);
    if (const auto* lost = std::get_if<run::AttemptLost>(&entry->record)) lost_attempt(*lost);
    observe(setup_->observer.on_record, *entry);
  }

  void progress(const std::string& worker, const Progress& progress) { observe(setup_->observer.on_progress, worker, progress); }

  void tick() {
    for (auto& slot : slots_) {
      if (slot.process && !slot.ready && Clock::now() > slot.started + setup_->ready_within) {
        kill(slot, "not ready within " + std::to_string(setup_->ready_within.count() / 1000) + " s");
      }
      reap(slot);
      if (phase_ == Phase::running && !slot.process && !slot.given_up && Clock::now() >= slot.next_start) start(slot);
    }
    if (phase_ == Phase::ending) {
      if (Clock::now() > ended_ + patience) kill_workers();
      if (std::none_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.process != nullptr; })) return conclude();
    }
    if (!slots_.empty() && phase_ != Phase::concluding) self_->delayed_send(self_, tick_interval, tick_atom_v);
  }

 private:
  enum class Phase { running, ending, concluding };

  struct Slot {
    std::string name;
    std::string device;
    std::unique_ptr<WorkerProcess> process;
    bool ready = false;
    bool given_up = false;        ///< it is not started again
    std::string killed_for;       ///< why we kill it
    int restarts = 0;             ///< since its last result
    int deaths_before_ready = 0;  ///< in a row
    Clock::time_point started{};
    Clock::time_point next_start{};
  };

  struct Device {
    std::int64_t workers = 0;
    double busy_s = 0;
    std::set<std::uint64_t> lost;  ///< candidates that lost an attempt there, and nowhere else, since it has finished something
  };

  template <class F, class... Ts>
  void observe(const F& observer, const Ts&... what) {
    if (!observer) return;
    try {
      observer(what...);
    } catch (const std::exception& error) {
      end(std::string("observer: ") + error.what());
    }
  }

  /// Whether another worker finds the same losses in the text, but for what another processor rounds otherwise.
  bool are_those_recorded(const std::vector<ReferenceMessage>& found) const {
    return std::ranges::equal(references_, found, [](const run::ReferenceLoss& recorded, const ReferenceMessage& message) {
      return recorded.name == message.record.name && std::abs(recorded.loss - message.record.loss) <= 1e-9 * std::abs(recorded.loss);
    });
  }

  void kill_workers() {
    for (auto& slot : slots_) kill(slot, "");
  }

  static void kill(Slot& slot, const std::string& why) {
    if (!slot.process) return;
    if (slot.killed_for.empty()) slot.killed_for = why;
    slot.process->kill();
  }

  /// What an in-process evaluator did counts for no slot.
  Device& device_of(const std::string& worker) {
    const auto slot = find(worker);
    return devices_[slot == slots_.end() ? in_process : slot->device];
  }

  void worked(const std::string& worker, double seconds) {
    auto& device = device_of(worker);
    device.busy_s += seconds;
    device.lost.clear();
    if (const auto slot = find(worker); slot != slots_.end()) slot->restarts = 0;
  }

  void finished(const run::EvaluationRecorded& evaluation) {
    // Whoever was killed finished nothing: the population recorded it.
    if (evaluation.outcome.status != search::Status::killed) worked(evaluation.worker, evaluation.duration_s);
  }

  void lost_attempt(const run::AttemptLost& attempt) {
    const auto slot = find(attempt.worker);
    if (slot == slots_.end() || slot->given_up || phase_ != Phase::running) return;
    auto& lost = devices_[slot->device].lost;
    for (auto& [name, device] : devices_) {
      if (name != slot->device && device.lost.erase(attempt.candidate_id) > 0) bad_candidates_.insert(attempt.candidate_id);
    }
    if (bad_candidates_.contains(attempt.candidate_id)) return;
    lost.insert(attempt.candidate_id);
    const auto enough = static_cast<std::size_t>(setup_->experiment.worker_options.give_up_after);
    const auto is_elsewhere = [&](const Slot& other) { return !other.given_up && other.device != slot->device; };
    if (lost.size() < enough || std::none_of(slots_.begin(), slots_.end(), is_elsewhere)) return;
    const auto device = slot->device;
    for (auto& each : slots_) {
      if (each.device != device) continue;
      each.given_up = true;
      kill(each, device + " is given up");
    }
    give_up(device, std::to_string(lost.size()) +
                        " candidates lost an attempt there, with nothing finished in between; the last: " + attempt.reason);
  }

  /// None of its workers is started again.
  void give_up(const std::string& device, const std::string& why) {
    record(run::DeviceGivenUp{device, why, run::now_utc()});
    given_up_ += (given_up_.empty() ? "" : "; ") + device + ": " + why;
    if (std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.given_up; })) return;
    end(devices_.size() > 1 ? "no device is left. " + given_up_ : why);
  }

  std::vector<Slot>::iterator find(const std::string& worker) {
    return std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.name == worker; });
  }

  void start_local_evaluators() {
    devices_[in_process].workers = std::ssize(placement_);
    for (std::size_t i = 0; i < placement_.size(); ++i) {
      const auto name = worker_name(i);
      const auto work = self_->spawn<caf::detached>(trainer, setup_->evaluate);
      self_->spawn(evaluator, EvaluatorWiring{name, in_process, population_, recorder_, caf::actor_cast<ControlActor>(self_)}, work);
      joined({.token = {}, .worker = name, .host = setup_->started.host, .device = in_process, .pid = getpid()});
    }
  }

  void joined(const WorkerHello& hello) { record(run::WorkerJoined{hello.worker, hello.host, hello.device, hello.pid, run::now_utc()}); }

  void start(Slot& slot) {
    try {
      slot.ready = false;
      slot.killed_for.clear();
      slot.started = Clock::now();
      slot.process =
          std::make_unique<WorkerProcess>(setup_->worker_program, std::vector<std::string>{"worker", slot.name, "--device", slot.device},
                                          log_of(slot), std::to_string(port_) + " " + token_);
    } catch (const std::exception& error) {
      restart_later(slot, error.what());
    }
  }

  void reap(Slot& slot) {
    if (!slot.process) return;
    auto how = slot.process->ended();
    if (!how) return;
    if (!slot.killed_for.empty()) how = slot.killed_for + ", " + *how;
    record(run::WorkerLeft{slot.name, slot.process->pid(), *how, run::now_utc()});
    slot.process.reset();
    if (phase_ == Phase::running && !slot.given_up) restart_later(slot, *how);
  }

  /// It ended, or could not even be started.
  void restart_later(Slot& slot, const std::string& how) {
    slot.deaths_before_ready = slot.ready ? 0 : slot.deaths_before_ready + 1;
    if (slot.deaths_before_ready >= deaths_before_ready) {
      slot.given_up = true;
      const auto is_here = [&](const Slot& other) { return !other.given_up && other.device == slot.device; };
      if (std::any_of(slots_.begin(), slots_.end(), is_here)) return;
      return give_up(slot.device,
                     "worker " + slot.name + " ended three times before it was ready (" + how + "); see " + log_of(slot).string());
    }
    slot.next_start = Clock::now() + std::min(longest_pause, first_pause * (1 << std::min(slot.restarts, 6)));
    ++slot.restarts;
  }

  std::filesystem::path log_of(const Slot& slot) const { return setup_->directory / "logs" / (slot.name + ".log"); }

  void end(std::string reason, bool complete = false, bool bad_input = false) {
    if (phase_ != Phase::running) return;
    phase_ = Phase::ending;
    ended_ = Clock::now();
    result_.reason = std::move(reason);
    result_.complete = complete;
    result_.bad_input = bad_input;
    self_->send(population_, stop_atom_v);
    for (auto& slot : slots_) {
      if (slot.process) slot.process->ask_to_end();
    }
    if (slots_.empty()) conclude();
  }

  /// What workers were writing when they ended.
  void remove_unfinished_checkpoints() {
    std::error_code error, ignored;  // a file too many is no reason to fail
    std::filesystem::directory_iterator file(setup_->directory / "checkpoints", error);
    for (; !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
      if (file->path().extension() == ".tmp") std::filesystem::remove(file->path(), ignored);
    }
  }

  void conclude() {
    phase_ = Phase::concluding;
    if (!slots_.empty()) remove_unfinished_checkpoints();
    const double wall_s = std::chrono::duration<double>(ended_ - begun_).count();
    const auto fill = [&](auto ended) {
      ended.reason = result_.reason;
      ended.complete = result_.complete;
      ended.time_utc = run::now_utc();
      ended.wall_s = wall_s;
      ended.worker_s = wall_s * static_cast<double>(placement_.size());
      for (const auto& [name, device] : devices_) {
        ended.busy_s += device.busy_s;
        ended.devices.push_back({name, device.workers, device.busy_s, wall_s * static_cast<double>(device.workers)});
      }
      return ended;
    };
    if (journal_failed_) return publish();
    record(setup_->extension ? run::Record{fill(run::ExtensionEnded{})} : run::Record{fill(run::RunEnded{})});
    self_->request(recorder_, caf::infinite, flush_atom_v)
        .then([this](std::uint64_t) { publish(); }, [this](const caf::error&) { publish(); });
  }

  void publish() {
    self_->request(publisher_, caf::infinite, flush_atom_v)
        .then([this](const std::string& error) { leave(error); },
              [this](const caf::error& error) { leave(self_->system().render(error)); });
  }

  void leave(std::string publish_error) {
    result_.publish_error = std::move(publish_error);
    const auto end_now = [this](const auto& role) { self_->send_exit(role, caf::exit_reason::user_shutdown); };
    end_now(population_);
    if (selection_) end_now(selection_);
    if (mutation_) end_now(mutation_);
    end_now(recorder_);
    end_now(publisher_);
    concluded_(result_);
    self_->quit();
  }

  void record(run::Record record) { self_->send(recorder_, record_atom_v, std::make_shared<const run::Record>(std::move(record))); }

  RoleCount count_;
  SupervisorActor::pointer self_;
  std::shared_ptr<const EngineSetup> setup_;
  std::function<void(RunResult)> concluded_;
  std::string token_;
  std::vector<std::string> placement_;  ///< the device of each worker
  MutationActor mutation_;
  SelectionActor selection_;
  RecorderActor recorder_;
  PublisherActor publisher_;
  PopulationActor population_;
  std::vector<Slot> slots_;
  std::uint16_t port_ = 0;
  Phase phase_ = Phase::running;
  RunResult result_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point ended_{};
  std::map<std::string, Device> devices_;
  std::set<std::uint64_t> bad_candidates_;      ///< that several devices have lost
  std::string given_up_;                        ///< devices, and why
  std::vector<run::ReferenceLoss> references_;  ///< recorded
  bool journal_failed_ = false;
};

}  // namespace

SupervisorActor::behavior_type supervisor(SupervisorActor::pointer self, std::shared_ptr<const EngineSetup> setup,
                                          std::shared_ptr<run::Journal> journal, std::function<void(RunResult)> concluded) {
  auto state = std::make_shared<Supervisor>(self, std::move(setup), std::move(journal), std::move(concluded));
  return {
      [=](finished_atom, const std::string& reason) { state->finished(reason); },
      [=](kill_atom, const std::string& worker, const std::string& why) { state->kill_worker(worker, why); },
      [=](progress_atom, const std::string& worker, const Progress& progress) { state->progress(worker, progress); },
      [=](durable_atom, const EntryPtr& entry) { state->durable(entry); },
      [=](begin_atom, std::uint16_t port) { state->begin(port); },
      [=](hello_atom, const WorkerHello& hello) { return state->hello(hello); },
      [=](ready_atom, const std::string& worker, const std::vector<ReferenceMessage>& references) { state->ready(worker, references); },
      [=](refuse_atom, const std::string& worker, const std::string& why, bool bad_input) { state->refuse(worker, why, bad_input); },
      [=](tick_atom) { state->tick(); },
      [=](stop_atom) { state->stop(); },
  };
}

}  // namespace starling::actors
