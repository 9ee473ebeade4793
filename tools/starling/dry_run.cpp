#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/variation.hpp>

#include "commands.hpp"
#include "configuration.hpp"
#include "run.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;

/// Weights, gradients and the two moments of AdamW, f32.
constexpr std::int64_t training_bytes_per_parameter = 16;

struct Cost {
  std::string name;
  std::int64_t parameters = 0;
  std::int64_t cache_bytes = 0;
  std::int64_t training_flops = 0;  ///< per token
};

struct Plan {
  std::vector<Cost> baselines;
  std::vector<Cost> drawn;  ///< random genomes of the space, least FLOPs first
  std::int64_t steps = 0;   ///< of one candidate
  std::int64_t tokens = 0;  ///< of one candidate, whole batches
  double search_flops = 0;  ///< candidates as the drawn ones are on average
  double baseline_flops = 0;
};

Cost cost_of(std::string name, const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions) {
  const auto account = genome::account(catalogue, genome, dimensions);
  return {std::move(name), account.parameters.total(), account.cache.bytes(dimensions.length), account.training_flops};
}

Plan make_plan(const experiment::Experiment& e) {
  constexpr std::uint64_t draws = 256;
  const auto space = experiment::search_settings(e).breeding.space;
  const auto dimensions = experiment::dimensions(e);
  Plan plan;
  const auto positions = e.task.kind == "mad" ? starling::positions(experiment::mad_options(e)) : e.task.sequence_length;
  const auto step_tokens = e.training.batch_tokens / positions * positions;
  plan.steps = (e.training.tokens + step_tokens - 1) / step_tokens;
  plan.tokens = plan.steps * step_tokens;
  for (const auto& name : e.search.baselines) {
    plan.baselines.push_back(cost_of(name, *space.catalogue, genome::baseline(*space.catalogue, name, space.depth), dimensions));
    plan.baseline_flops += static_cast<double>(plan.baselines.back().training_flops) * static_cast<double>(plan.tokens);
  }
  double mean_flops = 0;
  for (std::uint64_t i = 1; i <= draws; ++i) {
    Stream stream(e.seed, Purpose::sample, i);
    plan.drawn.push_back(cost_of("", *space.catalogue, genome::sample(space, stream), dimensions));
    mean_flops += static_cast<double>(plan.drawn.back().training_flops) / static_cast<double>(draws);
  }
  plan.search_flops = mean_flops * static_cast<double>(plan.tokens) * static_cast<double>(e.evaluations);
  std::ranges::sort(plan.drawn, {}, &Cost::training_flops);
  return plan;
}

/// Least, median and most of one number over the drawn genomes.
struct Spread {
  std::int64_t least = 0;
  std::int64_t median = 0;
  std::int64_t most = 0;
};

Spread spread(const std::vector<Cost>& costs, std::int64_t Cost::*member) {
  std::vector<std::int64_t> values;
  for (const auto& cost : costs) values.push_back(cost.*member);
  std::ranges::sort(values);
  return {values.front(), values[values.size() / 2], values.back()};
}

std::int64_t largest_model(const Plan& plan) {
  std::int64_t most = spread(plan.drawn, &Cost::parameters).most;
  for (const auto& cost : plan.baselines) most = std::max(most, cost.parameters);
  return most;
}

Json json(const experiment::Experiment& e, const Plan& plan) {
  const auto cost_json = [](const Cost& cost) {
    return Json{{"name", cost.name},
                {"parameters", cost.parameters},
                {"cache_bytes", cost.cache_bytes},
                {"training_flops_per_token", cost.training_flops}};
  };
  const auto spread_json = [&plan](std::int64_t Cost::*member) {
    const auto s = spread(plan.drawn, member);
    return Json{{"least", s.least}, {"median", s.median}, {"most", s.most}};
  };
  Json object;
  object["experiment"] = configuration_json(e);
  object["evaluations"] = e.evaluations;
  object["steps_per_candidate"] = plan.steps;
  object["tokens_per_candidate"] = plan.tokens;
  auto& baselines = object["baselines"] = Json::array();
  for (const auto& cost : plan.baselines) baselines.push_back(cost_json(cost));
  object["random_genomes"] = {{"drawn", plan.drawn.size()},
                              {"parameters", spread_json(&Cost::parameters)},
                              {"cache_bytes", spread_json(&Cost::cache_bytes)},
                              {"training_flops_per_token", spread_json(&Cost::training_flops)}};
  object["training_flops"] = {{"search", plan.search_flops}, {"baselines", plan.baseline_flops}};
  object["largest_training_state_bytes"] = training_bytes_per_parameter * largest_model(plan);
  return object;
}

void print_text(const experiment::Experiment& e, const Plan& plan) {
  using enum Table::Align;
  fmt::print("{}\n", configuration_summary(e));
  Table table({{"", left}, {"parameters"}, {"cache bytes"}, {"training FLOPs/token"}});
  for (const auto& cost : plan.baselines) {
    table.add({cost.name, grouped(cost.parameters), grouped(cost.cache_bytes), grouped(cost.training_flops)});
  }
  const auto parameters = spread(plan.drawn, &Cost::parameters);
  const auto cache = spread(plan.drawn, &Cost::cache_bytes);
  const auto flops = spread(plan.drawn, &Cost::training_flops);
  table.rule();
  const auto row = [&](std::string name, std::int64_t Spread::*at) {
    table.add({std::move(name), grouped(parameters.*at), grouped(cache.*at), grouped(flops.*at)});
  };
  row(fmt::format("{} random genomes: least", plan.drawn.size()), &Spread::least);
  row("median", &Spread::median);
  row("most", &Spread::most);
  fmt::print("{}\n", table.text());
  fmt::print("each candidate  {} steps, {} tokens\n", grouped(plan.steps), grouped(plan.tokens));
  fmt::print("all together    {} evaluations and {} baselines, {} tokens\n", grouped(e.evaluations), plan.baselines.size(),
             grouped(plan.tokens * (e.evaluations + static_cast<std::int64_t>(plan.baselines.size()))));
  fmt::print("training        about {}FLOP for the search, {}FLOP for the baselines\n", si(plan.search_flops), si(plan.baseline_flops));
  fmt::print(
      "memory          {} for weights, gradients and optimiser of the largest model, for each worker, and its "
      "activations\n",
      byte_size(static_cast<double>(training_bytes_per_parameter * largest_model(plan))));
}

}  // namespace

int dry_run(const experiment::Experiment& experiment, bool as_json) {
  const auto plan = make_plan(experiment);
  if (as_json) {
    fmt::print("{}\n", json(experiment, plan).dump(2));
  } else {
    print_text(experiment, plan);
  }
  return exit_code::done;
}

}  // namespace starling::tools
