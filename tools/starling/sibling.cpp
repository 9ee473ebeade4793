#include "sibling.hpp"

#include <fcntl.h>
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

namespace {

pid_t spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments, const posix_spawn_file_actions_t* actions) {
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  if (const int error = posix_spawn(&child, program.c_str(), actions, nullptr, pointers.data(), environ); error != 0) {
    throw Failure(fmt::format("{}: cannot be started: {}", program.string(), std::strerror(error)));
  }
  return child;
}

int wait_for(pid_t child, const std::filesystem::path& program) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw Failure(fmt::format("{}: waiting for it failed: {}", program.string(), std::strerror(errno)));
  }
  if (WIFSIGNALED(status))
    throw Failure(fmt::format("{}: ended by signal {} ({})", program.string(), WTERMSIG(status), strsignal(WTERMSIG(status))));
  return WEXITSTATUS(status);
}

}  // namespace

int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
  return wait_for(spawn(program, arguments, nullptr), program);
}

int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments, std::string& output) {
  return run_program(program, arguments, [&output](std::string_view piece) { output += piece; });
}

int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                const std::function<void(std::string_view)>& hear) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(fmt::format("{}: no pipe from it: {}", program.string(), std::strerror(errno)));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  try {
    child = spawn(program, arguments, &actions);
  } catch (...) {
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    close(ends[1]);
    throw;
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  char block[4096];
  ssize_t got = 0;
  try {
    while ((got = read(ends[0], block, sizeof block)) > 0 || (got < 0 && errno == EINTR)) {
      if (got > 0) hear({block, static_cast<std::size_t>(got)});
    }
  } catch (...) {
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    throw;
  }
  close(ends[0]);
  return wait_for(child, program);
}

}  // namespace starling::tools
