#include "sibling.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include <starling/base/error.hpp>

namespace starling::tools {

std::filesystem::path sibling_program(std::string_view name) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
  if (access(program.c_str(), X_OK) != 0) {
    throw Failure(fmt::format("{}: {}; it is built and installed beside starling: build the target {}", program.string(),
                              std::strerror(errno), name));
  }
  return program;
}

int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  if (const int error = posix_spawn(&child, program.c_str(), nullptr, nullptr, pointers.data(), environ); error != 0) {
    throw Failure(fmt::format("{}: cannot be started: {}", program.string(), std::strerror(error)));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw Failure(fmt::format("{}: waiting for it failed: {}", program.string(), std::strerror(errno)));
  }
  if (WIFSIGNALED(status))
    throw Failure(fmt::format("{}: ended by signal {} ({})", program.string(), WTERMSIG(status), strsignal(WTERMSIG(status))));
  return WEXITSTATUS(status);
}

}  // namespace starling::tools
