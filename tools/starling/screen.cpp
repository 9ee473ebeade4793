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
      put(fmt::format("candidate {}: attempt {} on {} was lost: {}\n", lost->candidate_id, lost->attempt, lost->worker, lost->reason));
    }
  } else if (const auto* left = std::get_if<run::WorkerLeft>(&entry.record)) {
    workers_.erase(left->worker);
  }
  changed_ = true;
}

void Screen::evaluated(const run::EvaluationRecorded& evaluation, std::int64_t retrained_on) {
  if (evaluation.outcome.status == search::Status::superseded) return;
  const auto& candidate = candidates_[evaluation.outcome.id];
  const bool baseline = candidate.origin == search::Origin::baseline;
  if (!baseline || !searches_) ++counted_;
  if (evaluation.outcome.status == search::Status::diverged) ++diverged_;
  if (evaluation.outcome.status == search::Status::killed) ++killed_;
  const bool ok = evaluation.outcome.status == search::Status::ok;
  if (ok && !baseline && searches_) {
    points_.add(evaluation.outcome.objectives);
    if (!best_ || evaluation.outcome.objectives.front() < best_->outcome.objectives.front()) best_ = evaluation;
  }
  if (style_ != Style::lines) return;
  const auto what = ok ? fmt::format("{}  {} parameters  cache {} B", losses_.quality(evaluation), grouped(evaluation.parameters),
                                     grouped(evaluation.cache_bytes))
                       : fmt::format("{}: {}", search::to_string(evaluation.outcome.status), evaluation.reason);
  const auto on = retrained_on > 0 ? fmt::format(" on {} tokens", grouped(retrained_on)) : std::string();
  put(fmt::format("{:>6.1f} s  {:>3}/{}  #{} {}{}  {}  ({:.1f} s, {})\n", elapsed_s(), counted_, expected_, evaluation.outcome.id,
                  label(candidate), on, what, evaluation.duration_s, evaluation.worker));
}

void Screen::progress(const std::string& worker, const actors::Progress& progress) {
  const std::lock_guard lock(mutex_);
  workers_[worker] = progress;
  changed_ = true;
}

double Screen::elapsed_s() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }

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
  for (const auto& [worker, progress] : workers_) {
    const auto candidate = candidates_.find(progress.id);
    lines.push_back(fmt::format("  {:<4}   #{} {}  step {} of {}  loss {:.3f}", worker, progress.id,
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
