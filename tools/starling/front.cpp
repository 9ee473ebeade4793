#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "architecture.hpp"
#include "commands.hpp"
#include "front_table.hpp"
#include "records_json.hpp"
#include "strip_picture.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

/// The members of the front from the outside: what follows what, and who shares with whom.
std::string pictures(const run::RunSummary& summary) {
  std::vector<LabelledGenome> members;
  for (const auto id : summary.front) members.push_back({fmt::format("{}", id), summary.candidates.at(id).candidate.genome});
  if (members.empty()) return "";
  return fmt::format("\n{}", strip_pictures(catalogue_of(summary), members, wants_colour()));
}

}  // namespace

int front(const FrontArguments& arguments) {
  const auto summary = run::summarise(arguments.run);
  if (arguments.json) {
    fmt::print("{}\n", dump(front_json(summary)));
  } else {
    fmt::print("{}{}", render_front(summary), pictures(summary));
  }
  return summary.front.empty() ? exit_code::no_valid_result : exit_code::done;
}

}  // namespace starling::tools
