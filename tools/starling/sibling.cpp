#include "sibling.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
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

class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void set(int descriptor) { descriptor_ = descriptor; }
  int get() const { return descriptor_; }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_ = -1;
};

/// What becomes of the streams of a program that is started.
class Redirections {
 public:
  Redirections() { posix_spawn_file_actions_init(&actions_); }
  ~Redirections() { posix_spawn_file_actions_destroy(&actions_); }
  Redirections(const Redirections&) = delete;
  Redirections& operator=(const Redirections&) = delete;

  void add(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

/// A file in memory, to be read from its beginning: unlike a pipe it takes any length at once, and nobody has to listen.
int file_of(std::string_view text, const std::filesystem::path& program) {
  const int file = memfd_create("standard input", MFD_CLOEXEC);
  if (file < 0) throw Failure(fmt::format("{}: no file for its standard input: {}", program.string(), std::strerror(errno)));
  while (!text.empty()) {
    const auto written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      close(file);
      throw Failure(fmt::format("{}: its standard input cannot be written: {}", program.string(), std::strerror(error)));
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  lseek(file, 0, SEEK_SET);
  return file;
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

int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments, std::string& output,
                std::optional<std::string_view> input) {
  return run_program(
      program, arguments, [&output](std::string_view piece) { output += piece; }, input);
}

int run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                const std::function<void(std::string_view)>& hear, std::optional<std::string_view> input) {
  Descriptor from, to, given;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(fmt::format("{}: no pipe from it: {}", program.string(), std::strerror(errno)));
  from.set(ends[0]);
  to.set(ends[1]);
  Redirections redirections;
  redirections.add(to.get(), STDOUT_FILENO);
  if (input) {
    given.set(file_of(*input, program));
    redirections.add(given.get(), STDIN_FILENO);
  }
  const pid_t child = spawn(program, arguments, redirections.get());
  to.close();
  given.close();
  char block[4096];
  ssize_t got = 0;
  try {
    while ((got = read(from.get(), block, sizeof block)) > 0 || (got < 0 && errno == EINTR)) {
      if (got > 0) hear({block, static_cast<std::size_t>(got)});
    }
  } catch (...) {
    from.close();
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    throw;
  }
  from.close();
  return wait_for(child, program);
}

}  // namespace starling::tools
