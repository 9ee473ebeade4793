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

/// One LIV of the class alone.
genome::LivAccount alone(const genome::Catalogue& catalogue, const genome::LivClass& liv_class, const genome::Dimensions& sizes) {
  genome::Genome genome{{{.liv_class = static_cast<std::int16_t>(liv_class.id)}}};
  return genome::account(catalogue, genome, sizes).livs.front();
}

std::vector<std::string> strategies(const genome::Catalogue& catalogue, const genome::LivClass& liv_class) {
  std::vector<std::string> names;
  for (int s = 1; s <= catalogue.feature_strategies(liv_class.id); ++s) {
    const auto groups = group_names(catalogue.featurizer_of(liv_class), catalogue.shared_groups(liv_class.id, s));
    names.push_back(groups.empty() ? "none" : groups);
  }
  return names;
}

Json class_json(const genome::Catalogue& catalogue, const genome::LivClass& liv_class, const genome::Dimensions& sizes) {
  const auto numbers = alone(catalogue, liv_class, sizes);
  auto object = class_genomes_json(liv_class, catalogue.featurizer_of(liv_class));
  object["feature_sharing_strategies"] = strategies(catalogue, liv_class);
  object["parameters"] = {{"matrices", numbers.parameters.matrices}, {"vectors", numbers.parameters.vectors}};
  object["cache"] = {{"elements_per_token", numbers.cache.per_token()},
                     {"elements_fixed", numbers.cache.fixed},
                     {"elements", numbers.cache.elements(sizes.length)},
                     {"bytes", numbers.cache.bytes(sizes.length)}};
  object["forward_flops_per_token"] = numbers.forward_flops;
  return object;
}

void print_text(const genome::Catalogue& catalogue, const genome::Dimensions& sizes) {
  using enum Table::Align;
  fmt::print("catalogue {}; numbers of one LIV, its norm included, at {} channels and {} tokens, band {}\n\n", catalogue.name(),
             sizes.width, grouped(sizes.length), grouped(sizes.band));
  Table table({{"id"}, {"name", left}, {"family", left}, {"operator"}, {"matrices"}, {"vectors"}, {"cache bytes"}, {"FLOPs/token"}});
  for (const auto& liv_class : catalogue.classes()) {
    const auto numbers = alone(catalogue, liv_class, sizes);
    table.add({fmt::format("{}", liv_class.id), liv_class.name, family_name(liv_class.family),
               fmt::format("{}", fmt::join(operator_integers(liv_class.op), " ")), grouped(numbers.parameters.matrices),
               grouped(numbers.parameters.vectors), grouped(numbers.cache.bytes(sizes.length)), grouped(numbers.forward_flops)});
  }
  fmt::print("{}\n", table.text());
  for (const auto& liv_class : catalogue.classes()) {
    fmt::print("{} {}\n", liv_class.id, liv_class.name);
    if (!liv_class.definition.empty()) fmt::print("    {}\n", liv_class.definition);
    for (const auto& group : catalogue.featurizer_of(liv_class).groups) {
      fmt::print(
          "    {:<6} {:<9}  token mixing {}{}, sparsity {}, nonlinearity {}, channel mixing {}, expansion {}, repeat "
          "{}\n",
          group.name, genome::name_of(group.parametrisation), static_cast<int>(group.token_mixing),
          group.kernel > 0 ? fmt::format(" ({} taps)", group.kernel) : "", static_cast<int>(group.sparsity),
          static_cast<int>(group.nonlinearity), static_cast<int>(group.channel_mixing), genome::to_text(group.expansion), group.repeat);
    }
    const auto shares = strategies(catalogue, liv_class);
    fmt::print("    feature-group sharing:");
    for (std::size_t s = 0; s < shares.size(); ++s) fmt::print("{} {} {}", s > 0 ? "," : "", s + 1, shares[s]);
    fmt::print("\n");
  }
}

}  // namespace

int classes(const ClassesArguments& arguments) {
  auto [catalogue, sizes, depth] = classes_of(arguments.source);
  sizes.width = arguments.width.value_or(sizes.width);
  sizes.length = arguments.length.value_or(sizes.length);
  genome::heads_at(sizes.width);
  if (!arguments.json) {
    print_text(catalogue, sizes);
    return exit_code::done;
  }
  Json object;
  object["catalogue"] = catalogue.name();
  object["width"] = sizes.width;
  object["length"] = sizes.length;
  object["band"] = sizes.band;
  auto& rows = object["classes"] = Json::array();
  for (const auto& liv_class : catalogue.classes()) rows.push_back(class_json(catalogue, liv_class, sizes));
  fmt::print("{}\n", object.dump(2));
  return exit_code::done;
}

}  // namespace starling::tools
