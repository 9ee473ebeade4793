// What a person sees while a search runs: a block that is redrawn on a terminal, one plain line per evaluation elsewhere. Goes to stderr.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <starling/actors/evaluate.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/run/journal.hpp>
#include <starling/search/pareto.hpp>

#include "losses.hpp"

namespace starling::tools {

/// Safe to call from several threads. Where `out` cannot be written (a closed pipe, a terminal that is gone) nothing is shown and
/// nothing fails.
class Screen {
 public:
  enum class Style { silent, lines, block };

  Screen(const experiment::Experiment& experiment, Style style, std::FILE* out = stderr);

  /// Not a search: so many trainings, of candidates and baselines alike.
  void expect(std::int64_t trainings);

  void record(const run::JournalEntry& entry);
  void progress(const std::string& worker, const actors::Progress& progress);
  /// Redraws the block where something changed; call it a few times a second.
  void refresh();
  /// A line of its own, above the block. Silent as the rest.
  void say(const std::string& line);
  /// Removes the block.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Worker {
    std::string device;
    std::optional<actors::Progress> progress;  ///< the last
    std::optional<Clock::time_point> since;    ///< when it was first heard of the candidate that it trains
  };
  struct Gpu {
    std::set<std::string> workers;
    double busy_s = 0;  ///< with what is finished
    Clock::time_point since = Clock::now();
  };

  void joined(const run::WorkerJoined& worker);
  void worked(const std::string& worker, double seconds);
  std::string where(const std::string& worker) const;
  std::string gpu_line(const std::string& name, const Gpu& gpu) const;
  void evaluated(const run::EvaluationRecorded& evaluation, std::int64_t retrained_on = 0);
  std::vector<std::string> block(std::size_t columns) const;
  void say_above(const std::string& line);
  std::string up_to_the_block();
  void put(std::string_view text);
  double elapsed_s() const;

  experiment::Experiment experiment_;
  Losses losses_;
  Style style_;
  std::FILE* out_;
  std::mutex mutex_;
  Clock::time_point begun_ = Clock::now();
  std::map<std::uint64_t, search::Candidate> candidates_;
  std::map<std::string, Worker> workers_;  ///< that have joined and not left
  std::map<std::string, Gpu> gpus_;
  std::optional<run::EvaluationRecorded> best_;
  search::Points points_;
  std::int64_t expected_ = 0;  ///< trainings, or the candidates of the search
  bool searches_ = true;
  std::int64_t counted_ = 0;
  std::int64_t diverged_ = 0;
  std::int64_t killed_ = 0;
  std::int64_t lost_ = 0;
  std::size_t drawn_lines_ = 0;
  bool changed_ = true;
};

}  // namespace starling::tools
