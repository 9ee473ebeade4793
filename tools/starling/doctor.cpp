#include "commands.hpp"
#include "sibling.hpp"

namespace starling::tools {

int doctor(const DoctorArguments& arguments) {
  // What there is to check lives in LibTorch, which this program does not load.
  std::vector<std::string> words{"doctor"};
  if (arguments.json) words.emplace_back("--json");
  return run_program(sibling_program("starling-worker"), words);
}

}  // namespace starling::tools
