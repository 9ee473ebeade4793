#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include <starling/experiment/experiment.hpp>

#include "commands.hpp"
#include "configuration.hpp"
#include "load.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

void print_keys(bool json) {
  auto keys = experiment::keys();
  for (auto& key : experiment::class_keys()) keys.push_back(std::move(key));
  if (json) {
    auto rows = nlohmann::ordered_json::array();
    for (const auto& key : keys) {
      auto& row = rows.emplace_back();
      row["key"] = key.key;
      row["type"] = key.type;
      row["default"] = key.default_value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(key.default_value);
      row["range"] = key.range;
      row["help"] = key.help;
    }
    fmt::print("{}\n", rows.dump(2));
    return;
  }
  for (const auto& key : keys) {
    fmt::print("{}\n", key.key);
    fmt::print("    {}{}; {}\n", key.type, key.range.empty() ? "" : fmt::format(", {}", key.range),
               key.default_value.empty() ? "required" : fmt::format("default {}", key.default_value));
    fmt::print("    {}\n", key.help);
  }
}

}  // namespace

int check(const CheckArguments& arguments) {
  if (arguments.keys) {
    print_keys(arguments.json);
    return exit_code::done;
  }
  const auto experiment = load_experiment(arguments.experiment, arguments.overrides);
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"ok", true}, {"experiment", configuration_json(experiment)}}.dump(2));
  } else {
    fmt::print("{}: ok\n{}", arguments.experiment.string(), configuration_summary(experiment));
  }
  return exit_code::done;
}

}  // namespace starling::tools
