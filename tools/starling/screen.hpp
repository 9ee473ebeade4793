// What a person sees while a search runs: a block that is redrawn on a terminal, one plain line per evaluation elsewhere. Goes to stderr.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
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
  void evaluated(const run::EvaluationRecorded& evaluation, std::int64_t retrained_on = 0);
  std::vector<std::string> block(std::size_t columns) const;
  std::string up_to_the_block();
  void put(std::string_view text);
  double elapsed_s() const;

  experiment::Experiment experiment_;
  Losses losses_;
  Style style_;
  std::FILE* out_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::map<std::uint64_t, search::Candidate> candidates_;
  std::map<std::string, actors::Progress> workers_;
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
