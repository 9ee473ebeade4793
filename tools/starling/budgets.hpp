// What a run's short training is worth: its order of candidates beside the order that another number of tokens gives.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include <starling/run/summary.hpp>

namespace starling::tools {

struct BudgetRow {
  std::uint64_t id = 0;
  const run::EvaluationRecorded* own = nullptr;    ///< the search's
  const run::EvaluationRecorded* other = nullptr;  ///< the retraining
  std::size_t own_rank = 0;                        ///< by quality, from 1, equal ones alike; 0 unless both ended well
  std::size_t other_rank = 0;
};

/// Both budgets of the candidates that were retrained on `tokens`, best of the search first.
struct BudgetComparison {
  std::int64_t tokens = 0;
  std::vector<BudgetRow> rows;
  std::size_t compared = 0;   ///< of the rows those with two results
  std::optional<double> tau;  ///< Kendall's, over these; nothing where there is no order
};

/// Pointers into `summary`.
BudgetComparison compare_budgets(const run::RunSummary& summary, std::int64_t tokens);
/// The numbers of tokens that candidates of the run were retrained on, ascending.
std::vector<std::int64_t> retrained_budgets(const run::RunSummary& summary);

std::string render_budgets(const run::RunSummary& summary, const BudgetComparison& comparison);
nlohmann::ordered_json budgets_json(const run::RunSummary& summary, const BudgetComparison& comparison);

}  // namespace starling::tools
