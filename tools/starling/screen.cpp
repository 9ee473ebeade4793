#include "screen.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

#include "text.hpp"

namespace starling::tools {
namespace {

constexpr std::size_t widest = 80;
constexpr std::size_t widest_bar = 60;

struct Size {
  std::size_t rows = 24;
  std::size_t columns = widest;
};

/// Of the terminal, as far as it is used.
Size size_of(std::FILE* out) {
  winsize found{};
  if (ioctl(fileno(out), TIOCGWINSZ, &found) != 0 || found.ws_col == 0 || found.ws_row == 0) return {};
  return {found.ws_row, std::min<std::size_t>(found.ws_col, widest)};
}

/// The beginning of a line of UTF-8, at most that many code points.
std::string_view cut(std::string_view line, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool starts_one = (static_cast<unsigned char>(line[i]) & 0xc0) != 0x80;
    if (starts_one && ++seen > columns) return line.substr(0, i);
  }
  return line;
}

std::string label(const search::Candidate& candidate) {
  return candidate.name.empty() ? search::to_string(candidate.origin) : candidate.name;
}

}  // namespace

Screen::Screen(const experiment::Experiment& experiment, Style style, std::FILE* out)
    : experiment_(experiment),
      losses_(experiment.task.kind),
      style_(style),
      out_(out),
      points_(experiment.search.objectives.size()),
      expected_(experiment.evaluations) {}

void Screen::expect(std::int64_t trainings) {
  expected_ = trainings;
  searches_ = false;
}

void Screen::record(const run::JournalEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (const auto* accepted = std::get_if<run::CandidateAccepted>(&entry.record)) {
    candidates_[accepted->candidate.id] = accepted->candidate;
  } else if (const auto* evaluation = std::get_if<run::EvaluationRecorded>(&entry.record)) {
    evaluated(*evaluation);
  } else if (const auto* retraining = std::get_if<run::RetrainingRecorded>(&entry.record)) {
    evaluated(retraining->evaluation, retraining->asked_tokens);
  } else if (const auto* lost = std::get_if<run::AttemptLost>(&entry.record)) {
    ++lost_;
    if (style_ == Style::lines) {
      put(fmt::format("candidate {}: attempt {} on {} was lost: {}\n", lost->candidate_id, lost->attempt, where(lost->worker),
                      lost->reason));
    }
  } else if (const auto* test = std::get_if<run::TestRecorded>(&entry.record)) {
    worked(test->worker, test->duration_s);
  } else if (const auto* worker = std::get_if<run::WorkerJoined>(&entry.record)) {
    joined(*worker);
  } else if (const auto* given_up = std::get_if<run::DeviceGivenUp>(&entry.record)) {
    say_above(fmt::format("{} is given up: {}", given_up->device, given_up->reason));
  } else if (const auto* left = std::get_if<run::WorkerLeft>(&entry.record)) {
    workers_.erase(left->worker);
  }
  changed_ = true;
}

void Screen::evaluated(const run::EvaluationRecorded& evaluation, std::int64_t retrained_on) {
  worked(evaluation.worker, evaluation.duration_s);
  if (evaluation.outcome.status == search::Status::superseded) return;
  const auto& candidate = candidates_[evaluation.outcome.id];
  const bool baseline = candidate.origin == search::Origin::baseline;
  if (!baseline || !searches_) ++counted_;
  if (evaluation.outcome.status == search::Status::diverged) ++diverged_;
  if (evaluation.outcome.status == search::Status::killed) ++killed_;
  const bool ok = evaluation.outcome.status == search::Status::ok;
  if (ok && !baseline && searches_) {
    points_.add(evaluation.outcome.objectives);
    if (!best_ || Losses::to_minimise(evaluation) < Losses::to_minimise(*best_)) best_ = evaluation;
  }
  if (style_ != Style::lines) return;
  const auto what = ok ? fmt::format("{}  {} parameters  cache {} B", losses_.quality(evaluation), grouped(evaluation.parameters),
                                     grouped(evaluation.cache_bytes))
                       : fmt::format("{}: {}", search::to_string(evaluation.outcome.status), evaluation.reason);
  const auto on = retrained_on > 0 ? fmt::format(" on {} tokens", grouped(retrained_on)) : std::string();
  put(fmt::format("{:>6.1f} s  {:>3}/{}  #{} {}{}  {}  ({:.1f} s, {})\n", elapsed_s(), counted_, expected_, evaluation.outcome.id,
                  label(candidate), on, what, evaluation.duration_s, where(evaluation.worker)));
}

void Screen::progress(const std::string& worker, const actors::Progress& progress) {
  const std::lock_guard lock(mutex_);
  auto& of_worker = workers_[worker];
  if (!of_worker.since) of_worker.since = Clock::now();
  of_worker.progress = progress;
  changed_ = true;
}

void Screen::joined(const run::WorkerJoined& worker) {
  workers_[worker.worker] = {.device = worker.device, .progress = {}, .since = {}};
  if (worker.device.starts_with("cuda:")) gpus_[worker.device].workers.insert(worker.worker);
}

void Screen::worked(const std::string& worker, double seconds) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  found->second.since.reset();
  if (const auto gpu = gpus_.find(found->second.device); gpu != gpus_.end()) gpu->second.busy_s += seconds;
}

/// "w0", "w0 on cuda:1"
std::string Screen::where(const std::string& worker) const {
  const auto found = workers_.find(worker);
  const bool on_gpu = found != workers_.end() && gpus_.contains(found->second.device);
  return on_gpu ? fmt::format("{} on {}", worker, found->second.device) : worker;
}

/// How busy its workers were since the first one joined.
std::string Screen::gpu_line(const std::string& name, const Gpu& gpu) const {
  const auto seconds_since = [](Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  double busy = gpu.busy_s;
  for (const auto& worker : gpu.workers) {
    const auto found = workers_.find(worker);
    if (found != workers_.end() && found->second.since) busy += seconds_since(*found->second.since);
  }
  const auto count = gpu.workers.size();
  const auto had = std::max(1e-3, seconds_since(gpu.since) * static_cast<double>(count));
  return fmt::format("  {}  {} worker{}, busy {:.0f} %", name, count, count == 1 ? "" : "s", 100 * std::min(1.0, busy / had));
}

double Screen::elapsed_s() const { return std::chrono::duration<double>(Clock::now() - begun_).count(); }

std::vector<std::string> Screen::block(std::size_t columns) const {
  const double elapsed = elapsed_s();
  std::string left;
  if (counted_ > 0 && (!searches_ || counted_ >= experiment_.search.population / 2)) {
    const double rest = elapsed / static_cast<double>(counted_) * static_cast<double>(expected_ - counted_);
    left = fmt::format(", about {} left", duration(rest));
  }
  const auto bar = std::min(widest_bar, std::max<std::size_t>(columns, 4) - 4);
  const auto done = static_cast<std::size_t>(counted_), all = static_cast<std::size_t>(std::max<std::int64_t>(expected_, 1));
  const auto filled = std::min(bar * done / all, bar);
  std::vector<std::string> lines{fmt::format("{}: {} of {} {} after {}{}", experiment_.name, counted_, expected_,
                                             searches_ ? "evaluated" : "trained", duration(elapsed), left),
                                 "  [" + std::string(filled, '#') + std::string(bar - filled, '.') + "]"};
  if (best_) {
    lines.push_back(fmt::format("  best   {}  #{}  cache {} B", losses_.quality(*best_), best_->outcome.id, grouped(best_->cache_bytes)));
    const auto front = search::nondominated(points_).size();
    lines.push_back(fmt::format("  front  {} candidate{}   diverged {}   killed {}   attempts lost {}", front, front == 1 ? "" : "s",
                                diverged_, killed_, lost_));
  }
  for (const auto& [name, gpu] : gpus_) lines.push_back(gpu_line(name, gpu));
  for (const auto& [name, worker] : workers_) {
    if (!worker.progress) continue;
    const auto& progress = *worker.progress;
    const auto candidate = candidates_.find(progress.id);
    lines.push_back(fmt::format("  {:<4}   #{} {}  step {} of {}  loss {:.3f}", where(name), progress.id,
                                candidate == candidates_.end() ? "" : label(candidate->second), progress.step, progress.steps,
                                progress.loss));
  }
  return lines;
}

void Screen::refresh() {
  const std::lock_guard lock(mutex_);
  if (style_ != Style::block || !changed_) return;
  changed_ = false;
  // Drawn over the last one and written at once: what stays the same does not flicker.
  std::string text = up_to_the_block();
  const auto size = size_of(out_);
  for (const auto& line : block(size.columns)) {
    if (drawn_lines_ + 1 == size.rows) break;  // what scrolls out of a terminal cannot be drawn over
    text.append(cut(line, size.columns)).append("\x1b[K\n");
    ++drawn_lines_;
  }
  put(text + "\x1b[J");
}

void Screen::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  say_above(line);
}

void Screen::say_above(const std::string& line) {
  if (style_ == Style::silent) return;
  put(up_to_the_block() + (style_ == Style::block ? "\x1b[J" : "") + line + "\n");
  changed_ = true;
}

void Screen::finish() {
  const std::lock_guard lock(mutex_);
  if (drawn_lines_ > 0) put(up_to_the_block() + "\x1b[J");
  style_ = Style::silent;
}

/// What moves the cursor to where the block begins.
std::string Screen::up_to_the_block() {
  const auto lines = std::exchange(drawn_lines_, 0);
  return lines == 0 ? std::string() : fmt::format("\x1b[{}A", lines);
}

void Screen::put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace starling::tools
