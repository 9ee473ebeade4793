#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "front_table.hpp"
#include "records_json.hpp"

namespace starling::tools {

int front(const FrontArguments& arguments) {
  const auto summary = run::summarise(arguments.run);
  if (arguments.json) {
    fmt::print("{}\n", dump(front_json(summary)));
  } else {
    fmt::print("{}", render_front(summary));
  }
  return summary.front.empty() ? exit_code::no_valid_result : exit_code::done;
}

}  // namespace starling::tools
