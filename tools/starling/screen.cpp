#include "screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text.hpp"

namespace starling::tools {
namespace {

constexpr std::size_t columns = 80;

std::string quality_text(const run::EvaluationRecorded& evaluation) {
  if (std::isfinite(evaluation.accuracy)) return fmt::format("accuracy {:.3f}", evaluation.accuracy);
  return fmt::format("perplexity {:.3f}", std::exp(evaluation.loss));
}

std::string label(const search::Candidate& candidate) {
  return candidate.name.empty() ? search::to_string(candidate.origin) : candidate.name;
}

}  // namespace

Screen::Screen(const experiment::Experiment& experiment, Style style, std::FILE* out)
    : experiment_(experiment), style_(style), out_(out), points_(experiment.search.objectives.size()) {}

void Screen::record(const run::JournalEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (const auto* accepted = std::get_if<run::CandidateAccepted>(&entry.record)) {
    candidates_[accepted->candidate.id] = accepted->candidate;
  } else if (const auto* evaluation = std::get_if<run::EvaluationRecorded>(&entry.record)) {
    evaluated(*evaluation);
  } else if (const auto* lost = std::get_if<run::AttemptLost>(&entry.record)) {
    ++lost_;
    if (style_ == Style::lines) {
      fmt::print(out_, "candidate {}: attempt {} on {} was lost: {}\n", lost->candidate_id, lost->attempt, lost->worker, lost->reason);
    }
  } else if (const auto* left = std::get_if<run::WorkerLeft>(&entry.record)) {
    workers_.erase(left->worker);
  }
  changed_ = true;
}

void Screen::evaluated(const run::EvaluationRecorded& evaluation) {
  if (evaluation.outcome.status == search::Status::superseded) return;
  const auto& candidate = candidates_[evaluation.outcome.id];
  const bool baseline = candidate.origin == search::Origin::baseline;
  if (!baseline) ++counted_;
  if (evaluation.outcome.status == search::Status::diverged) ++diverged_;
  if (evaluation.outcome.status == search::Status::killed) ++killed_;
  const bool ok = evaluation.outcome.status == search::Status::ok;
  if (ok && !baseline) {
    points_.add(evaluation.outcome.objectives);
    if (!best_ || evaluation.outcome.objectives.front() < best_->outcome.objectives.front()) best_ = evaluation;
  }
  if (style_ != Style::lines) return;
  const auto what = ok ? fmt::format("{}  {} parameters  cache {} B", quality_text(evaluation), grouped(evaluation.parameters),
                                     grouped(evaluation.cache_bytes))
                       : fmt::format("{}: {}", search::to_string(evaluation.outcome.status), evaluation.reason);
  fmt::print(out_, "{:>6.1f} s  {:>3}/{}  #{} {}  {}  ({:.1f} s, {})\n", elapsed_s(), counted_, experiment_.evaluations,
             evaluation.outcome.id, label(candidate), what, evaluation.duration_s, evaluation.worker);
  std::fflush(out_);
}

void Screen::progress(const std::string& worker, const actors::Progress& progress) {
  const std::lock_guard lock(mutex_);
  workers_[worker] = progress;
  changed_ = true;
}

double Screen::elapsed_s() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }

std::string Screen::block() const {
  const double elapsed = elapsed_s();
  std::string left = "";
  if (counted_ >= experiment_.search.population / 2 && counted_ > 0) {
    const double rest = elapsed / static_cast<double>(counted_) * static_cast<double>(experiment_.evaluations - counted_);
    left = fmt::format(", about {} left", duration(rest));
  }
  std::string text =
      fmt::format("{}: {} of {} evaluated after {}{}\n", experiment_.name, counted_, experiment_.evaluations, duration(elapsed), left);
  const std::size_t filled = experiment_.evaluations > 0 ? static_cast<std::size_t>(60 * counted_ / experiment_.evaluations) : 0;
  text += "  [" + std::string(std::min<std::size_t>(filled, 60), '#') + std::string(60 - std::min<std::size_t>(filled, 60), '.') + "]\n";
  if (best_) {
    text += fmt::format("  best   {}  #{}  cache {} B\n", quality_text(*best_), best_->outcome.id, grouped(best_->cache_bytes));
    text += fmt::format("  front  {} candidates   diverged {}   killed {}   attempts lost {}\n", search::nondominated(points_).size(),
                        diverged_, killed_, lost_);
  }
  for (const auto& [worker, progress] : workers_) {
    const auto candidate = candidates_.find(progress.id);
    text += fmt::format("  {:<4}   #{} {}  step {} of {}  loss {:.3f}\n", worker, progress.id,
                        candidate == candidates_.end() ? "" : label(candidate->second), progress.step, progress.steps, progress.loss);
  }
  return text;
}

void Screen::refresh() {
  const std::lock_guard lock(mutex_);
  if (style_ != Style::block || !changed_) return;
  changed_ = false;
  erase_block();
  const auto text = block();
  std::size_t start = 0;
  while (start < text.size()) {
    const auto end = text.find('\n', start);
    fmt::print(out_, "{}\n", text.substr(start, std::min(end - start, columns)));
    ++drawn_lines_;
    start = end + 1;
  }
  std::fflush(out_);
}

void Screen::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  erase_block();
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
  changed_ = true;
}

void Screen::erase_block() {
  if (drawn_lines_ > 0) fmt::print(out_, "\x1b[{}A\x1b[J", drawn_lines_);
  drawn_lines_ = 0;
}

void Screen::finish() {
  const std::lock_guard lock(mutex_);
  erase_block();
  std::fflush(out_);
  style_ = Style::silent;
}

}  // namespace starling::tools
