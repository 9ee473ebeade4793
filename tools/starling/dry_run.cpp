#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/experiment/placement.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/variation.hpp>

#include "commands.hpp"
#include "configuration.hpp"
#include "devices.hpp"
#include "packing.hpp"
#include "run.hpp"
#include "sibling.hpp"
#include "text.hpp"
#include "validation_size.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;

/// What training a model takes, in bytes.
struct Memory {
  std::int64_t weights = 0;          ///< f32
  std::int64_t gradients = 0;        ///< f32, of a tied embedding three at once
  std::int64_t optimiser = 0;        ///< the two moments of AdamW, f32
  std::int64_t copies = 0;           ///< of the weights, in bf16
  std::int64_t sequence = 0;         ///< activations of one sequence at a time, by the upper bound of accounting.hpp
  std::int64_t batch = 0;            ///< activations of a whole batch at once
  std::int64_t sequence_logits = 0;  ///< that exist at once, of one sequence
  std::int64_t batch_logits = 0;     ///< of a batch

  std::int64_t least() const { return weights + gradients + optimiser + copies + sequence + sequence_logits; }
  std::int64_t most() const { return weights + gradients + optimiser + copies + batch + batch_logits; }
};

struct Cost {
  std::string name;
  std::int64_t parameters = 0;
  std::int64_t cache_bytes = 0;
  std::int64_t training_flops = 0;  ///< per token
  Memory memory{};
};

/// How fast training is thought to be.
struct Throughput {
  double flops = 0;          ///< per second, of each GPU or of each worker on the CPU
  std::string from;          ///< where the number comes from
  std::int64_t count = 1;    ///< of GPUs, or workers, that compute at once
  std::string_view of = "";  ///< "GPU", "worker"
};

struct Plan {
  std::vector<Cost> baselines;
  std::vector<Cost> drawn;  ///< random genomes of the space, least FLOPs first
  std::int64_t steps = 0;   ///< of one candidate
  std::int64_t tokens = 0;  ///< of one candidate, whole batches
  double search_flops = 0;  ///< candidates as the drawn ones are on average
  double baseline_flops = 0;
  std::optional<std::int64_t> validation_tokens{};  ///< of one candidate; nothing: the text is not there yet
  double validation_flops = 0;                      ///< of all of them, as far as that is known
  std::int64_t checkpoints = 0;                     ///< bytes on disk
  std::optional<std::int64_t> token_bytes{};        ///< bytes on disk; nothing: not known before
};

Memory memory_of(const genome::Account& account, const experiment::Experiment& e) {
  const bool bf16 = e.training.precision == "bf16";
  const auto parameters = account.parameters.total();
  const std::int64_t element_bytes = bf16 ? 2 : 4;
  const auto activations = account.activation_bytes(e.model.width, element_bytes, e.training.recompute);
  const auto logits = [&](std::int64_t tokens) { return account.logit_bytes(tokens, element_bytes, experiment::on_gpus(e)); };
  return {.weights = 4 * parameters,
          .gradients = account.gradient_bytes(),
          .optimiser = account.moment_bytes(),
          .copies = bf16 ? 2 * parameters : 0,
          .sequence = activations.fixed + activations.per_token * e.task.sequence_length,
          .batch = activations.fixed + activations.per_token * e.training.batch_tokens,
          .sequence_logits = logits(e.task.sequence_length),
          .batch_logits = logits(e.training.batch_tokens)};
}

Cost cost_of(std::string name, const genome::Genome& genome, const experiment::Experiment& e) {
  const auto dimensions = experiment::dimensions(e);
  const auto account = genome::account(experiment::catalogue(e), genome, dimensions);
  return {std::move(name), account.parameters.total(), account.cache.bytes(dimensions.length), account.training_flops,
          memory_of(account, e)};
}

/// Whatever of `member` is largest, over all models that are counted.
template <class Member>
const Cost& largest(const Plan& plan, Member member) {
  const auto& drawn = *std::ranges::max_element(plan.drawn, {}, member);
  if (plan.baselines.empty()) return drawn;
  const auto& baseline = *std::ranges::max_element(plan.baselines, {}, member);
  return std::invoke(member, baseline) > std::invoke(member, drawn) ? baseline : drawn;
}

const Memory& largest_memory(const Plan& plan) {
  return largest(plan, [](const Cost& cost) { return cost.memory.most(); }).memory;
}

/// Of the tokens that text becomes before a search; nothing where the text is not there yet.
std::optional<std::int64_t> token_bytes(const experiment::Experiment& e) {
  constexpr std::int64_t bytes_per_token = 2;  // a token is a byte of text or more
  try {
    return packs_text(e) ? bytes_per_token * text_bytes(e) : 0;
  } catch (const UserError&) {
    return std::nullopt;
  }
}

/// Checkpoints of a front as large as the population and of the baselines.
std::int64_t checkpoint_bytes(const experiment::Experiment& e, const Plan& plan) {
  const auto kept = e.search.population + static_cast<std::int64_t>(plan.baselines.size());
  return kept * 4 * largest(plan, &Cost::parameters).parameters;
}

Plan make_plan(const experiment::Experiment& e) {
  constexpr std::uint64_t draws = 256;
  const auto space = experiment::search_settings(e).breeding.space;
  Plan plan;
  const auto training = experiment::in_positions(e);
  const auto step_tokens = training.batch_tokens;
  plan.steps = (training.tokens + step_tokens - 1) / step_tokens;
  plan.tokens = plan.steps * step_tokens;
  for (const auto& name : e.search.baselines) {
    plan.baselines.push_back(cost_of(name, genome::baseline(*space.catalogue, name, space.depth), e));
    plan.baseline_flops += static_cast<double>(plan.baselines.back().training_flops) * static_cast<double>(plan.tokens);
  }
  double mean_flops = 0;
  for (std::uint64_t i = 1; i <= draws; ++i) {
    Stream stream(e.seed, Purpose::sample, i);
    plan.drawn.push_back(cost_of("", genome::sample(space, stream), e));
    mean_flops += static_cast<double>(plan.drawn.back().training_flops) / static_cast<double>(draws);
  }
  plan.search_flops = mean_flops * static_cast<double>(plan.tokens) * static_cast<double>(e.evaluations);
  // A forward pass is a third of training.
  plan.validation_tokens = validation_size(e);
  const auto validated = static_cast<double>(plan.validation_tokens.value_or(0)) / static_cast<double>(plan.tokens) / 3;
  plan.validation_flops = (plan.search_flops + plan.baseline_flops) * validated;
  plan.checkpoints = checkpoint_bytes(e, plan);
  plan.token_bytes = token_bytes(e);
  std::ranges::sort(plan.drawn, {}, &Cost::training_flops);
  return plan;
}

/// What a training reaches of the speed of matrix products alone: `tools/bench train` finds more for most models, less for small widths.
constexpr double share_of_products = 0.5;

/// What starling-worker measures: how fast it makes products of matrices.
Json measured() {
  std::string output;
  run_program(sibling_program("starling-worker"), {"doctor", "--json"}, output);
  auto found = Json::parse(output, nullptr, false);
  if (found.is_discarded()) throw Failure("'starling-worker doctor --json' printed no JSON");
  return found;
}

/// Where products in bf16 are slow, training makes them in f32.
double product_flops(const Json& gflops, const experiment::Experiment& e) {
  const double f32 = gflops.at("f32"), own = gflops.value(e.training.precision, f32);
  return 1e9 * (e.training.precision == "bf16" ? std::max(f32, own) : own);
}

Throughput throughput(const experiment::Experiment& e, std::optional<double> stated_tflops) {
  Throughput speed;
  const bool gpus = experiment::on_gpus(e);
  speed.of = gpus ? "GPU" : "worker";
  speed.count = gpus ? std::ssize(e.devices) : e.workers;
  if (stated_tflops) {
    speed.flops = *stated_tflops * 1e12;
    speed.from = "as --tflops says";
    return speed;
  }
  const auto found = measured();
  double product = std::numeric_limits<double>::infinity();
  if (gpus) {
    for (const auto& device : e.devices) product = std::min(product, product_flops(found.at("gflops").at(device), e));
  } else {
    product = product_flops({{"f32", found.at("f32_gflops_one_thread")}, {"bf16", found.at("bf16_gflops_one_thread")}}, e);
    speed.count = std::min<std::int64_t>(speed.count, found.at("cores"));
  }
  speed.flops = share_of_products * product;
  speed.from = fmt::format("half of the {}FLOP/s that a matrix product reaches here{}", si(product), gpus ? "" : " on one thread");
  return speed;
}

double hours(const Plan& plan, const Throughput& speed) {
  const double flops = plan.search_flops + plan.baseline_flops + plan.validation_flops;
  return flops / (speed.flops * static_cast<double>(speed.count)) / 3600;
}

/// "1.2 h", "3 min 20 s": of hours.
std::string time_text(double h) {
  return h < 48 ? duration(3600 * h) : fmt::format("{} h ({:.0f} days)", grouped(static_cast<std::int64_t>(h)), h / 24);
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

Json json(const experiment::Experiment& e, const Plan& plan, const Throughput& speed) {
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
  const auto flops = spread(plan.drawn, &Cost::training_flops);
  const auto whole = [&](std::int64_t per_token) { return static_cast<double>(per_token) * static_cast<double>(plan.tokens); };
  object["random_genomes"]["training_flops"] = {
      {"least", whole(flops.least)}, {"median", whole(flops.median)}, {"most", whole(flops.most)}};
  object["validation_tokens_per_candidate"] = plan.validation_tokens ? Json(*plan.validation_tokens) : Json();
  object["training_flops"] = {{"search", plan.search_flops}, {"baselines", plan.baseline_flops}, {"validation", plan.validation_flops}};
  const auto& memory = largest_memory(plan);
  object["memory_bytes"] = {{"weights", memory.weights},
                            {"gradients", memory.gradients},
                            {"optimizer", memory.optimiser},
                            {"copies", memory.copies},
                            {"activations_of_a_sequence", memory.sequence},
                            {"activations_of_a_batch", memory.batch},
                            {"logits_of_a_sequence", memory.sequence_logits},
                            {"logits_of_a_batch", memory.batch_logits},
                            {"least", memory.least()},
                            {"most", memory.most()}};
  const auto at_once = experiment::workers_per_device(e);
  object["memory_bytes"]["of_a_device"] = {{"candidates", at_once}, {"least", at_once * memory.least()}, {"most", at_once * memory.most()}};
  object["throughput"] = {{"flops_per_second", speed.flops}, {"of", speed.of}, {"count", speed.count}, {"from", speed.from}};
  object["hours"] = hours(plan, speed);
  object["disk_bytes"] = {{"checkpoints", plan.checkpoints}, {"tokens", plan.token_bytes ? Json(*plan.token_bytes) : Json()}};
  return object;
}

void print_text(const experiment::Experiment& e, const Plan& plan, const Throughput& speed) {
  using enum Table::Align;
  fmt::print("{}\n", configuration_summary(e));
  Table table({{"", left}, {"parameters"}, {"cache bytes"}, {"training FLOPs/token"}, {"training"}});
  const auto whole = [&](std::int64_t per_token) {
    return fmt::format("{}FLOP", si(static_cast<double>(per_token) * static_cast<double>(plan.tokens)));
  };
  for (const auto& cost : plan.baselines) {
    table.add({cost.name, grouped(cost.parameters), grouped(cost.cache_bytes), grouped(cost.training_flops), whole(cost.training_flops)});
  }
  const auto parameters = spread(plan.drawn, &Cost::parameters);
  const auto cache = spread(plan.drawn, &Cost::cache_bytes);
  const auto flops = spread(plan.drawn, &Cost::training_flops);
  table.rule();
  const auto row = [&](std::string name, std::int64_t Spread::*at) {
    table.add({std::move(name), grouped(parameters.*at), grouped(cache.*at), grouped(flops.*at), whole(flops.*at)});
  };
  row(fmt::format("{} random genomes: least", plan.drawn.size()), &Spread::least);
  row("median", &Spread::median);
  row("most", &Spread::most);
  fmt::print("{}\n", table.text());
  fmt::print("each candidate  {} steps, {} tokens\n", grouped(plan.steps), grouped(plan.tokens));
  fmt::print("all together    {} evaluations and {} baselines, {} tokens\n", grouped(e.evaluations), plan.baselines.size(),
             grouped(plan.tokens * (e.evaluations + static_cast<std::int64_t>(plan.baselines.size()))));
  fmt::print("training        about {}FLOP for the search, {}FLOP for the baselines\n", si(plan.search_flops), si(plan.baseline_flops));
  if (plan.validation_tokens) {
    fmt::print("validation      about {}FLOP, {} {} of each candidate\n", si(plan.validation_flops), grouped(*plan.validation_tokens),
               e.task.kind == "series" ? "rows" : "tokens");
  } else {
    fmt::print("validation      not counted: the text that says how much it is cannot be read here yet\n");
  }
  const auto& memory = largest_memory(plan);
  const auto bytes = [](std::int64_t count) { return byte_size(static_cast<double>(count)); };
  fmt::print("memory          of the largest: {} weights, {} gradients, {} moments of the optimiser{}\n", bytes(memory.weights),
             bytes(memory.gradients), bytes(memory.optimiser),
             memory.copies > 0 ? fmt::format(", {} copies in bf16", bytes(memory.copies)) : "");
  fmt::print("                activations at most {} for a sequence, {} for a batch{}: {} to {} in all\n", bytes(memory.sequence),
             bytes(memory.batch),
             memory.batch_logits > 0 ? fmt::format(", logits {} and {}", bytes(memory.sequence_logits), bytes(memory.batch_logits)) : "",
             bytes(memory.least()), bytes(memory.most()));
  if (const auto at_once = experiment::workers_per_device(e); at_once > 1) {
    fmt::print("                {} candidates at once on {}: {} to {}\n", at_once, experiment::on_gpus(e) ? "each GPU" : "the CPU",
               bytes(at_once * memory.least()), bytes(at_once * memory.most()));
  }
  if (!experiment::on_gpus(e)) fmt::print("                besides, about 200 MB of each worker for its libraries, and the text\n");
  fmt::print("time            about {} on {} {}{} at {}FLOP/s{}, {}\n", time_text(hours(plan, speed)), speed.count, speed.of,
             speed.count == 1 ? "" : "s", si(speed.flops), speed.count == 1 ? "" : " each", speed.from);
  const auto tokens = !plan.token_bytes       ? std::string(", and the tokens of text that is not there yet")
                      : *plan.token_bytes > 0 ? fmt::format(", at most {} for the tokens of the text", bytes(*plan.token_bytes))
                                              : std::string();
  fmt::print("disk            {} for checkpoints of {} on the front and {} baselines{}\n", bytes(plan.checkpoints), e.search.population,
             plan.baselines.size(), tokens);
}

}  // namespace

int dry_run(experiment::Experiment experiment, std::optional<double> tflops, bool as_json) {
  try {
    // Of GPUs that are named nothing need be known but their number where their speed is stated.
    if (!tflops || experiment.devices.empty()) resolve_devices(experiment);
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}; how fast those of another machine are, --tflops says", error.what()));
  }
  const auto plan = make_plan(experiment);
  const auto speed = throughput(experiment, tflops);
  if (as_json) {
    fmt::print("{}\n", json(experiment, plan, speed).dump(2));
  } else {
    print_text(experiment, plan, speed);
  }
  return exit_code::done;
}

}  // namespace starling::tools
