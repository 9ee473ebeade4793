// A worker process as its parent holds it: a direct child that ends when its standard input ends.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace starling::actors {

class WorkerProcess {
 public:
  /// Starts `program arguments…` with standard input from a pipe that stays open as long as this object lives, the first line of which
  /// is `introduction`; its output is appended to `log`, and it inherits no other descriptor. Throws Failure.
  WorkerProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments, const std::filesystem::path& log,
                const std::string& introduction);
  /// Kills what still runs and reaps it.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// How it ended ("exit code 1", "killed by signal 9"), once it has; does not block.
  std::optional<std::string> ended();
  /// Closes the pipe: the worker stops what it does and ends.
  void ask_to_end();
  void kill();

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::optional<std::string> how_;
};

}  // namespace starling::actors
