#include "budgets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include <starling/search/rank_correlation.hpp>

#include "losses.hpp"
#include "records_json.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

/// What is ranked: less is better.
double quality(const run::EvaluationRecorded& evaluation) {
  return std::isfinite(evaluation.accuracy) ? 1 - evaluation.accuracy : evaluation.loss;
}

bool is_compared(const BudgetRow& row) {
  const auto ok = [](const run::EvaluationRecorded* e) { return e != nullptr && e->outcome.status == search::Status::ok; };
  return ok(row.own) && ok(row.other);
}

std::size_t rank_of(double value, const std::vector<double>& values) {
  return 1 + static_cast<std::size_t>(std::ranges::count_if(values, [&](double other) { return other < value; }));
}

const run::TestRecorded* test_of(const run::RunSummary& summary, std::uint64_t id, std::int64_t tokens) {
  const auto found = summary.retraining_tests.find({id, tokens});
  return found == summary.retraining_tests.end() ? nullptr : &found->second;
}

/// What the task is judged by, as people read it.
class Measure {
 public:
  Measure(const run::RunSummary& summary, const BudgetComparison& comparison)
      : losses_(summary), by_accuracy_(std::ranges::any_of(comparison.rows, [](const BudgetRow& row) {
          return row.own != nullptr && std::isfinite(row.own->accuracy);
        })) {}

  const char* title() const {
    if (by_accuracy_) return "Accuracy";
    return std::isnan(losses_.perplexity(0)) ? "MSE" : "Perplexity";
  }
  /// Of an evaluation or a test.
  std::string text(const auto& measured) const {
    if (by_accuracy_) return fixed(measured.accuracy, 4);
    const double perplexity = losses_.perplexity(measured.loss);
    return std::isnan(perplexity) ? fixed(measured.loss, Losses::squared_error_digits) : fixed(perplexity, 3);
  }

 private:
  Losses losses_;
  bool by_accuracy_;
};

/// Kendall's τ with what it was made from.
std::string tau_text(const BudgetComparison& comparison) {
  if (!comparison.tau) return fmt::format("Kendall τ –: {} candidate{} no order", comparison.compared, comparison.compared == 1 ? " has" : "s have");
  return fmt::format("Kendall τ {:.2f} between both orders of {} candidates (1: the same, 0: unrelated, -1: opposite)", *comparison.tau,
                     comparison.compared);
}

}  // namespace

BudgetComparison compare_budgets(const run::RunSummary& summary, std::int64_t tokens) {
  BudgetComparison comparison{.tokens = tokens, .rows = {}, .compared = 0, .tau = {}};
  for (const auto& [key, retraining] : summary.retrainings) {
    if (key.second != tokens) continue;
    const auto own = summary.evaluations.find(key.first);
    comparison.rows.push_back({.id = key.first, .own = own == summary.evaluations.end() ? nullptr : &own->second, .other = &retraining});
  }
  std::vector<double> own, other;
  for (const auto& row : comparison.rows) {
    if (!is_compared(row)) continue;
    own.push_back(quality(*row.own));
    other.push_back(quality(*row.other));
  }
  for (auto& row : comparison.rows) {
    if (!is_compared(row)) continue;
    row.own_rank = rank_of(quality(*row.own), own);
    row.other_rank = rank_of(quality(*row.other), other);
  }
  comparison.compared = own.size();
  comparison.tau = search::kendall_tau(own, other);
  // What has no rank comes last.
  std::ranges::stable_sort(comparison.rows, {}, [](const BudgetRow& row) { return row.own_rank - 1; });
  return comparison;
}

std::vector<std::int64_t> retrained_budgets(const run::RunSummary& summary) {
  std::set<std::int64_t> budgets;
  for (const auto& [key, retraining] : summary.retrainings) budgets.insert(key.second);
  return {budgets.begin(), budgets.end()};
}

std::string render_budgets(const run::RunSummary& summary, const BudgetComparison& comparison) {
  const Measure measure(summary, comparison);
  std::int64_t own_tokens = 0;
  for (const auto& row : comparison.rows) own_tokens = std::max(own_tokens, row.own == nullptr ? 0 : row.own->tokens);
  using enum Table::Align;
  Table table({{"candidate", left},
               {fmt::format("{} tokens", si(static_cast<double>(own_tokens)))},
               {"rank"},
               {fmt::format("{} tokens", si(static_cast<double>(comparison.tokens)))},
               {"rank"},
               {"on test"},
               {"parameters"},
               {"cache bytes"},
               {"genome", left}});
  const auto rank = [](std::size_t place) { return place == 0 ? std::string("–") : fmt::format("{}", place); };
  for (const auto& row : comparison.rows) {
    const auto* const test = test_of(summary, row.id, comparison.tokens);
    const bool ended_well = row.other->outcome.status == search::Status::ok;
    table.add({candidate_label(summary, row.id), row.own == nullptr ? "–" : measure.text(*row.own), rank(row.own_rank),
               measure.text(*row.other), rank(row.other_rank), test == nullptr ? "–" : measure.text(*test),
               row.own == nullptr ? "–" : grouped(row.own->parameters), row.own == nullptr ? "–" : grouped(row.own->cache_bytes),
               ended_well ? genome::to_text(summary.candidates.at(row.id).candidate.genome)
                          : fmt::format("({}: {})", search::to_string(row.other->outcome.status), row.other->reason)});
  }
  return fmt::format("{} after the search's training and after one on {} tokens\n\n{}\n{}\n", measure.title(), grouped(comparison.tokens),
                     table.text(), tau_text(comparison));
}

nlohmann::ordered_json budgets_json(const run::RunSummary& summary, const BudgetComparison& comparison) {
  using Json = nlohmann::ordered_json;
  Json object;
  object["tokens"] = comparison.tokens;
  object["kendall_tau"] = comparison.tau ? Json(*comparison.tau) : Json();
  object["compared"] = comparison.compared;
  auto& rows = object["candidates"] = Json::array();
  for (const auto& row : comparison.rows) {
    auto entry = candidate_json(summary, row.id);
    entry["rank"] = row.own_rank == 0 ? Json() : Json(row.own_rank);
    entry["retraining"] = retraining_json(summary, {row.id, comparison.tokens});
    entry["retraining"]["rank"] = row.other_rank == 0 ? Json() : Json(row.other_rank);
    rows.push_back(std::move(entry));
  }
  return object;
}

}  // namespace starling::tools
