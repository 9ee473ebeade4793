#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "sibling.hpp"

namespace starling::tools {

int generate(const GenerateArguments& arguments) {
  const nlohmann::json options{{"from_file", !arguments.prompt_file.empty()},
                               {"tokens", arguments.tokens},
                               {"samples", arguments.samples},
                               {"temperature", arguments.temperature},
                               {"top_k", arguments.top_k},
                               {"top_p", arguments.top_p},
                               {"seed", arguments.seed},
                               {"json", arguments.json}};
  // What may be any bytes travels outside the JSON.
  const auto& prompt = arguments.prompt_file.empty() ? arguments.prompt : arguments.prompt_file;
  return run_program(sibling_program("starling-worker"), {"generate", options.dump(), arguments.checkpoint.string(), prompt});
}

}  // namespace starling::tools
