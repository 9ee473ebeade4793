#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>

#include "architecture.hpp"
#include "commands.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;

std::vector<int> integers(const genome::OperatorGenome& op) {
  return {op.featurizer, static_cast<int>(op.token_mixing), static_cast<int>(op.sparsity), static_cast<int>(op.nonlinearity),
          static_cast<int>(op.channel_mixing)};
}

std::string expansion(const genome::Expansion& e) {
  if (e.per_token) return fmt::format("{} per token", e.numerator);
  return e.denominator == 1 ? fmt::format("{}", e.numerator) : fmt::format("{}/{}", e.numerator, e.denominator);
}

const char* parametrisation(genome::Parametrisation p) {
  switch (p) {
    case genome::Parametrisation::input:
      return "input";
    case genome::Parametrisation::direct:
      return "direct";
    case genome::Parametrisation::selective:
      return "selective";
    case genome::Parametrisation::decay:
      return "decay";
    case genome::Parametrisation::implicit:
      return "implicit";
    case genome::Parametrisation::liquid:
      return "liquid";
  }
  return "?";
}

/// One LIV of the class alone.
genome::LivAccount alone(const genome::Catalogue& catalogue, const genome::LivClass& liv_class, const ClassesArguments& arguments) {
  genome::Genome genome{{{.liv_class = static_cast<std::int16_t>(liv_class.id)}}};
  return genome::account(catalogue, genome, {arguments.width, arguments.length, 1}).livs.front();
}

std::vector<std::string> strategies(const genome::Catalogue& catalogue, const genome::LivClass& liv_class) {
  std::vector<std::string> names;
  for (int s = 1; s <= catalogue.feature_strategies(liv_class.id); ++s) {
    const auto groups = group_names(catalogue.featurizer_of(liv_class), catalogue.shared_groups(liv_class.id, s));
    names.push_back(groups.empty() ? "none" : groups);
  }
  return names;
}

Json class_json(const genome::Catalogue& catalogue, const genome::LivClass& liv_class, const ClassesArguments& arguments) {
  const auto numbers = alone(catalogue, liv_class, arguments);
  Json object;
  object["id"] = liv_class.id;
  object["name"] = liv_class.name;
  object["family"] = family_name(liv_class.family);
  object["operator_genome"] = integers(liv_class.op);
  object["differential"] = liv_class.differential;
  object["definition"] = liv_class.definition;
  object["feature_sharing_strategies"] = strategies(catalogue, liv_class);
  auto& groups = object["feature_groups"] = Json::array();
  for (const auto& group : catalogue.featurizer_of(liv_class).groups) {
    groups.push_back({{"name", group.name},
                      {"parametrisation", parametrisation(group.parametrisation)},
                      {"token_mixing", static_cast<int>(group.token_mixing)},
                      {"kernel", group.kernel},
                      {"sparsity", static_cast<int>(group.sparsity)},
                      {"nonlinearity", static_cast<int>(group.nonlinearity)},
                      {"channel_mixing", static_cast<int>(group.channel_mixing)},
                      {"expansion", expansion(group.expansion)},
                      {"repeat", group.repeat}});
  }
  object["parameters"] = {{"matrices", numbers.parameters.matrices}, {"vectors", numbers.parameters.vectors}};
  object["cache"] = {{"elements_per_token", numbers.cache.per_token()},
                     {"elements_fixed", numbers.cache.fixed},
                     {"elements", numbers.cache.elements(arguments.length)},
                     {"bytes", numbers.cache.bytes(arguments.length)}};
  object["forward_flops_per_token"] = numbers.forward_flops;
  return object;
}

void print_text(const genome::Catalogue& catalogue, const ClassesArguments& arguments) {
  using enum Table::Align;
  fmt::print("catalogue {}; numbers of one LIV, its norm included, at {} channels and {} tokens\n\n", catalogue.name(), arguments.width,
             grouped(arguments.length));
  Table table({{"id"}, {"name", left}, {"family", left}, {"operator"}, {"matrices"}, {"vectors"}, {"cache bytes"}, {"FLOPs/token"}});
  for (const auto& liv_class : catalogue.classes()) {
    const auto numbers = alone(catalogue, liv_class, arguments);
    table.add({fmt::format("{}", liv_class.id), liv_class.name, family_name(liv_class.family),
               fmt::format("{}", fmt::join(integers(liv_class.op), " ")), grouped(numbers.parameters.matrices),
               grouped(numbers.parameters.vectors), grouped(numbers.cache.bytes(arguments.length)), grouped(numbers.forward_flops)});
  }
  fmt::print("{}\n", table.text());
  for (const auto& liv_class : catalogue.classes()) {
    fmt::print("{} {}\n    {}\n", liv_class.id, liv_class.name, liv_class.definition);
    for (const auto& group : catalogue.featurizer_of(liv_class).groups) {
      fmt::print(
          "    {:<6} {:<9}  token mixing {}{}, sparsity {}, nonlinearity {}, channel mixing {}, expansion {}, repeat "
          "{}\n",
          group.name, parametrisation(group.parametrisation), static_cast<int>(group.token_mixing),
          group.kernel > 0 ? fmt::format(" ({} taps)", group.kernel) : "", static_cast<int>(group.sparsity),
          static_cast<int>(group.nonlinearity), static_cast<int>(group.channel_mixing), expansion(group.expansion), group.repeat);
    }
    const auto shares = strategies(catalogue, liv_class);
    fmt::print("    feature-group sharing:");
    for (std::size_t s = 0; s < shares.size(); ++s) fmt::print("{} {} {}", s > 0 ? "," : "", s + 1, shares[s]);
    fmt::print("\n");
  }
}

}  // namespace

int classes(const ClassesArguments& arguments) {
  const auto& catalogue = genome::Catalogue::named(arguments.catalogue);
  genome::heads_at(arguments.width);
  if (!arguments.json) {
    print_text(catalogue, arguments);
    return exit_code::done;
  }
  Json object;
  object["catalogue"] = catalogue.name();
  object["width"] = arguments.width;
  object["length"] = arguments.length;
  auto& rows = object["classes"] = Json::array();
  for (const auto& liv_class : catalogue.classes()) rows.push_back(class_json(catalogue, liv_class, arguments));
  fmt::print("{}\n", object.dump(2));
  return exit_code::done;
}

}  // namespace starling::tools
