#include <starling/run/publisher.hpp>

#include <sys/statvfs.h>

#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/run/files.hpp>
#include <starling/run/genome_matrix.hpp>
#include <starling/run/hdf5.hpp>
#include <starling/run/schema.hpp>
#include <starling/search/steady_state.hpp>

// run.h5 grows as a file in memory that lives as long as the publisher; publishing writes its image to disk with write(2). So HDF5 meets no I/O
// error, and publishing never reads the old file, which a stranger may have changed. The price is memory: the size of run.h5, and once more while it
// is written (50,000 evaluations with ten million curve rows are about 100 MB).

namespace starling::run {
namespace {

using nlohmann::json;

std::int64_t signed_id(std::uint64_t id) { return static_cast<std::int64_t>(id); }
std::int64_t code(auto enumerator) { return static_cast<std::int64_t>(enumerator); }

// JSON of at most `detail_width` bytes: the longest text gives way, so that what is left is still JSON.
std::string detail_of(json detail) {
  for (;;) {
    auto text = detail.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() <= detail_width) return text;
    std::string* longest = nullptr;
    for (auto& value : detail) {
      if (!value.is_string()) continue;
      auto& candidate = value.get_ref<std::string&>();
      if (longest == nullptr || candidate.size() > longest->size()) longest = &candidate;
    }
    if (longest == nullptr || longest->empty()) return "{}";
    longest->resize(longest->size() - std::min(longest->size(), text.size() - detail_width));
    // Not within a character of several bytes.
    while (!longest->empty() && (static_cast<unsigned char>(longest->back()) & 0xc0) == 0x80) longest->pop_back();
    if (!longest->empty() && static_cast<unsigned char>(longest->back()) >= 0xc0) longest->pop_back();
  }
}

// Rows of /archive or /population.
class Memberships {
 public:
  explicit Memberships(h5::Table& table) : table_(table) {}

  void enter(std::uint64_t id, std::int64_t seq) { rows_[id] = table_.add({signed_id(id), seq, std::int64_t{-1}, std::int64_t{-1}}); }

  void leave(std::uint64_t id, std::int64_t seq, std::uint64_t replaced_by) {
    const auto row = rows_.find(id);
    if (row == rows_.end()) return;
    table_.set(row->second, "left_seq", seq);
    table_.set(row->second, "replaced_by", signed_id(replaced_by));
    rows_.erase(row);
  }

 private:
  h5::Table& table_;
  std::unordered_map<std::uint64_t, std::size_t> rows_;
};

// Takes the records of one run, from its RunStarted on, into tables.
class View {
 public:
  View(const RunStarted& started, std::int64_t seq)
      : started_(started),
        tables_(started.objectives),
        search_(settings_of(started)),
        archive_(tables_.archive),
        population_(tables_.population) {
    event(seq, started.time_utc, EventType::run_started, -1, {{"host", started.host}, {"version", started.starling_version}});
  }

  void take(const JournalEntry& entry) {
    seq_ = signed_id(entry.seq);
    std::visit(*this, entry.record);
  }

  void operator()(const RunStarted&) { throw Failure(fmt::format("record {} starts a run inside a run", seq_)); }

  void operator()(const CandidateAccepted& record) {
    const auto& candidate = record.candidate;
    const auto id = signed_id(candidate.id);
    tables_.candidates.add({id, seq_, code(candidate.origin), candidate.generation, signed_id(candidate.parents.size()), candidate.hash,
                            record.parameters, std::int64_t{candidate.repairs.total()}, std::string_view(candidate.name), record.width,
                            record.matched_to == 0 ? std::int64_t{-1} : signed_id(record.matched_to)});
    genomes_.add(id, candidate.genome);
    for (std::size_t slot = 0; slot < candidate.parents.size(); ++slot) {
      const auto parent = candidate.parents[slot];
      tables_.lineage.add({id, signed_id(parent), signed_id(slot), code(candidate.origin),
                           slot == 0 ? std::int64_t{candidate.changed_genes} : distance_to(parent, candidate.genome)});
    }
    search_.apply_candidate(candidate);
  }

  void operator()(const EvaluationRecorded& record) {
    const auto& outcome = record.outcome;
    const bool ok = outcome.status == search::Status::ok;
    if (ok && outcome.objectives.size() != started_.objectives.size()) {
      throw Failure(fmt::format("record {} has {} objectives, the run {}", seq_, outcome.objectives.size(), started_.objectives.size()));
    }
    // fidelity: the share of the search's training budget; its own evaluations have all of it
    tables_.evaluations.add(evaluation_row(record, 1.0));
    if (ok) own_tokens_[outcome.id] = record.tokens;
    if (!ok && outcome.status != search::Status::superseded) {
      event(seq_, later_utc(record.started_utc, record.duration_s), EventType::evaluation_failed, signed_id(outcome.id),
            {{"status", search::to_string(outcome.status)},
             {"attempt", record.attempt},
             {"worker", record.worker},
             {"reason", record.reason}});
    }
    add_checkpoint(record);
    commit(outcome);
  }

  void operator()(const RetrainingRecorded& record) {
    const auto id = record.evaluation.outcome.id;
    const auto own = own_tokens_.find(id);
    const double fidelity =
        own == own_tokens_.end() ? none : static_cast<double>(record.evaluation.tokens) / static_cast<double>(own->second);
    auto row = evaluation_row(record.evaluation, fidelity);
    for (const h5::Value& value : {h5::Value(record.asked_tokens), h5::Value(none), h5::Value(none), h5::Value(none)}) row.push_back(value);
    const auto number = tables_.retrainings.add(row);
    if (record.evaluation.outcome.status == search::Status::ok) retraining_rows_[{id, record.asked_tokens}] = number;
    add_checkpoint(record.evaluation);
  }

  void operator()(const AttemptLost& record) {
    event(seq_, record.time_utc, EventType::attempt_lost, signed_id(record.candidate_id),
          {{"attempt", record.attempt}, {"worker", record.worker}, {"reason", record.reason}});
  }

  void operator()(const WorkerJoined& record) {
    const auto row = tables_.devices.add({std::string_view(record.worker), std::string_view(record.host), std::string_view(record.device),
                                          record.pid, std::string_view(record.time_utc), std::string_view(), std::string_view(), 0.0});
    device_rows_[{record.worker, record.pid}] = row;
    busy_[record.worker] = {row, 0};
    devices_.insert(record.device);
    event(seq_, record.time_utc, EventType::worker_joined, -1,
          {{"worker", record.worker}, {"host", record.host}, {"device", record.device}, {"pid", record.pid}});
  }

  void operator()(const WorkerLeft& record) {
    const auto row = device_rows_.find({record.worker, record.pid});
    if (row != device_rows_.end()) {
      tables_.devices.set(row->second, "left_utc", std::string_view(record.time_utc));
      tables_.devices.set(row->second, "reason", std::string_view(record.reason));
    }
    event(seq_, record.time_utc, EventType::worker_left, -1, {{"worker", record.worker}, {"pid", record.pid}, {"reason", record.reason}});
  }

  void operator()(const DeviceGivenUp& record) {
    event(seq_, record.time_utc, EventType::device_given_up, -1, {{"device", record.device}, {"reason", record.reason}});
  }

  void operator()(const CheckpointDropped& record) {
    const auto row = checkpoint_rows_.find(record.path);
    if (row != checkpoint_rows_.end()) tables_.checkpoints.set(row->second, "path", std::string_view());
    event(seq_, "", EventType::checkpoint_dropped, signed_id(record.candidate_id), {{"path", record.path}});
  }

  void operator()(const ReferenceLoss& record) {
    event(seq_, "", EventType::reference_loss, -1, {{"name", record.name}, {"loss", record.loss}, {"bits_per_byte", record.bits_per_byte}});
  }

  void operator()(const TestRecorded& record) {
    add_busy(record.worker, record.duration_s);
    if (record.asked_tokens > 0) {
      const auto row = retraining_rows_.find({record.candidate_id, record.asked_tokens});
      if (row == retraining_rows_.end()) throw Failure(fmt::format("record {} tests a retraining that was never recorded", seq_));
      tables_.retrainings.set(row->second, "test_loss", record.loss);
      tables_.retrainings.set(row->second, "test_bits_per_byte", record.bits_per_byte);
      tables_.retrainings.set(row->second, "test_accuracy", record.accuracy);
      return;
    }
    tables_.tests.add({signed_id(record.candidate_id), seq_, record.loss, record.bits_per_byte, record.accuracy,
                       std::string_view(record.worker), record.duration_s});
  }

  void operator()(const RunEnded& record) {
    complete_ = record.complete;
    event(seq_, record.time_utc, EventType::run_ended, -1,
          {{"reason", record.reason}, {"wall_s", record.wall_s}, {"busy_s", record.busy_s}, {"worker_s", record.worker_s}});
  }

  void operator()(const ExtensionStarted& record) {
    event(seq_, record.time_utc, EventType::extension_started, -1,
          {{"command", record.command_line}, {"host", record.host}, {"version", record.starling_version}});
  }

  void operator()(const ExtensionEnded& record) {
    event(seq_, record.time_utc, EventType::extension_ended, -1,
          {{"reason", record.reason}, {"wall_s", record.wall_s}, {"busy_s", record.busy_s}, {"worker_s", record.worker_s}});
  }

  /// The file as it is to be published.
  std::vector<std::uint8_t> image(std::uint64_t next_seq) {
    const h5::QuietErrors quiet;
    if (!provenance_) create_frame();
    write_tables();
    const auto root = file_.get();
    h5::set_attribute(root, "journal_next_seq", signed_id(next_seq));
    h5::set_attribute(root, "complete", complete_);
    h5::set_attribute(root, "published_utc", now_utc());
    h5::set_attribute(provenance_.get(), "device", fmt::format("{}", fmt::join(devices_, ", ")));
    return file_.image();
  }

 private:
  static search::SteadyState::Settings settings_of(const RunStarted& started) {
    search::SteadyState::Settings settings;
    settings.breeding.seed = started.seed;
    settings.breeding.population = started.population;
    settings.objectives = started.objectives.size();
    return settings;
  }

  void create_frame() {
    const auto root = file_.get();
    h5::set_attribute(root, "format", std::string_view("starling-run"));
    h5::set_version_attribute(root, "format_version", format_major, format_minor);
    h5::set_attribute(root, "run_uuid", std::string_view(started_.run_uuid));
    h5::set_attribute(root, "created_utc", std::string_view(started_.time_utc));
    auto provenance = h5::create_text_dataset(root, "provenance", started_.experiment_toml);
    const auto object = provenance.get();
    h5::set_attribute(object, "starling_version", std::string_view(started_.starling_version));
    h5::set_attribute(object, "hdf5_version", fmt::format("{}.{}.{}", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE));
    h5::set_attribute(object, "git_commit", std::string_view(started_.git_commit));
    h5::set_attribute(object, "host", std::string_view(started_.host));
    h5::set_attribute(object, "seed", started_.seed);
    h5::set_attribute(object, "command_line", std::string_view(started_.command_line));
    h5::set_attribute(object, "catalogue", std::string_view(started_.catalogue));
    h5::set_attribute(object, "population", started_.population);
    provenance_ = std::move(provenance);
  }

  void write_tables() {
    tables_.write(file_.get());
    genomes_.write(file_.get());
  }

  void add_busy(const std::string& worker, double seconds) {
    const auto found = busy_.find(worker);
    if (found == busy_.end()) return;
    found->second.seconds += seconds;
    tables_.devices.set(found->second.row, "busy_s", found->second.seconds);
  }

  void add_checkpoint(const EvaluationRecorded& record) {
    const auto& file = record.checkpoint;
    if (file.path.empty()) return;
    checkpoint_rows_[file.path] = tables_.checkpoints.add({signed_id(record.outcome.id), record.steps, seq_, signed_id(file.bytes),
                                                           std::int64_t{file.crc32c}, std::int64_t{0}, std::string_view(file.path)});
  }

  /// A row of /evaluations; its curve goes to /curves.
  std::vector<h5::Value> evaluation_row(const EvaluationRecorded& record, double fidelity) {
    const auto& outcome = record.outcome;
    const auto evaluation = signed_id(++evaluations_);
    add_busy(record.worker, record.duration_s);
    const auto curve_start = signed_id(tables_.curves.size());
    std::vector<h5::Value> row{evaluation,
                               signed_id(outcome.id),
                               seq_,
                               code(outcome.status),
                               std::int64_t{record.attempt},
                               fidelity,
                               record.steps,
                               record.tokens,
                               std::string_view(record.started_utc),
                               record.duration_s};
    for (std::size_t i = 0; i < started_.objectives.size(); ++i)
      row.emplace_back(i < outcome.objectives.size() ? outcome.objectives[i] : none);
    for (const h5::Value& value :
         {h5::Value(record.loss), h5::Value(record.bits_per_byte), h5::Value(record.accuracy), h5::Value(record.parameters),
          h5::Value(record.cache_bytes), h5::Value(record.peak_mem_bytes), h5::Value(record.training_seed),
          h5::Value(std::string_view(record.worker)), h5::Value(curve_start), h5::Value(signed_id(record.curve.size()))}) {
      row.push_back(value);
    }
    add_curve(record, evaluation);
    return row;
  }

  void add_curve(const EvaluationRecorded& record, std::int64_t evaluation) {
    std::vector<CurveRow> curve;
    curve.reserve(record.curve.size());
    for (const auto& point : record.curve) {
      curve.push_back(
          {evaluation, point.step, point.tokens, point.train_loss, point.val_loss, point.learning_rate, point.grad_norm, point.elapsed_s});
    }
    tables_.curves.add_packed(curve.data(), curve.size());
    // A rebuild takes a whole journal before it publishes: the rows wait compressed.
    constexpr std::size_t most_waiting = std::size_t{32} << 20;
    waiting_ += curve.size() * sizeof(CurveRow);
    if (waiting_ < most_waiting) return;
    const h5::QuietErrors quiet;
    tables_.curves.write(file_.get());
    waiting_ = 0;
  }

  // Membership is not journalled, because it follows from what is: the search floor repeats it.
  void commit(const search::Outcome& outcome) {
    if (outcome.status == search::Status::superseded) return;
    const auto change = search_.apply_outcome(outcome);
    if (!change.counted || outcome.status != search::Status::ok) return;
    if (change.removed && change.removed != outcome.id) population_.leave(*change.removed, seq_, outcome.id);
    if (change.entered) population_.enter(outcome.id, seq_);
    bool on_front = !is_baseline(outcome.id);
    for (const auto id : change.left_front) {
      if (id == outcome.id) on_front = false;
      archive_.leave(id, seq_, outcome.id);
    }
    if (on_front) archive_.enter(outcome.id, seq_);
  }

  bool is_baseline(std::uint64_t id) const {
    const auto* candidate = search_.find(id);
    return candidate != nullptr && candidate->origin == search::Origin::baseline;
  }

  std::int64_t distance_to(std::uint64_t parent, const genome::Genome& child) const {
    const auto* candidate = search_.find(parent);
    if (candidate == nullptr || candidate->genome.depth() != child.depth()) return -1;
    return genome::distance(candidate->genome, child);
  }

  void event(std::int64_t seq, std::string_view time, EventType type, std::int64_t candidate, json detail) {
    const auto text = detail_of(std::move(detail));
    tables_.events.add({seq, time, code(type), candidate, std::string_view(text)});
  }

  h5::MemoryFile file_;  // before whatever has handles into it
  RunStarted started_;
  std::int64_t seq_ = 0;
  bool complete_ = false;
  std::uint64_t evaluations_ = 0;
  std::size_t waiting_ = 0;  // bytes of curves that came since they were last written
  Tables tables_;
  GenomeMatrix genomes_;
  search::SteadyState search_;
  Memberships archive_;
  Memberships population_;
  std::unordered_map<std::string, std::size_t> checkpoint_rows_;
  std::unordered_map<std::uint64_t, std::int64_t> own_tokens_;  // that the search trained a candidate on
  std::map<std::pair<std::uint64_t, std::int64_t>, std::size_t> retraining_rows_;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> device_rows_;
  struct Busy {
    std::size_t row = 0;
    double seconds = 0;
  };
  std::map<std::string, Busy> busy_;  // of the process that has a worker's name now
  std::set<std::string> devices_;
  h5::Handle provenance_;
};

// The journal needs room more than its view: what publishing takes must leave as much again.
void check_room(const std::filesystem::path& directory, std::size_t bytes) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) throw system_failure("cannot publish in '" + directory.string() + "'", errno);
  const auto available = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (available >= 2 * std::uint64_t{bytes}) return;
  throw Failure(
      fmt::format("not enough room to publish in '{}': {} bytes are free, {} are needed", directory.string(), available, 2 * bytes));
}

}  // namespace

struct Publisher::State {
  std::filesystem::path directory;
  std::unique_ptr<View> view;
  std::uint64_t next_seq = 0;
  std::uint64_t published_seq = 0;
};

Publisher::Publisher(std::filesystem::path directory) : state_(std::make_unique<State>()) { state_->directory = std::move(directory); }

Publisher::~Publisher() = default;
Publisher::Publisher(Publisher&&) noexcept = default;
Publisher& Publisher::operator=(Publisher&&) noexcept = default;

void Publisher::add(const JournalEntry& entry) {
  if (entry.seq != state_->next_seq) {
    throw Failure(fmt::format("the publisher was given record {} where record {} is next", entry.seq, state_->next_seq));
  }
  if (state_->view == nullptr) {
    const auto* started = std::get_if<RunStarted>(&entry.record);
    if (started == nullptr) throw Failure("the first record of a journal must be the start of a run");
    const h5::QuietErrors quiet;
    state_->view = std::make_unique<View>(*started, signed_id(entry.seq));
  } else {
    state_->view->take(entry);
  }
  ++state_->next_seq;
}

void Publisher::publish() {
  if (state_->published_seq == state_->next_seq) return;
  const auto image = state_->view->image(state_->next_seq);
  check_room(state_->directory, image.size());
  DurableFile file(state_->directory / "run.h5");
  file.write(image.data(), image.size());
  file.commit();
  state_->published_seq = state_->next_seq;
}

}  // namespace starling::run
