#include <starling/actors/worker_process.hpp>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <starling/base/error.hpp>

extern char** environ;

namespace starling::actors {
namespace {

void check(int error, const std::string& what) {
  if (error != 0) throw Failure(what + ": " + strerror(error));
}

}  // namespace

WorkerProcess::WorkerProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                             const std::filesystem::path& log, const std::string& introduction) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(std::string("cannot make a pipe to a worker: ") + strerror(errno));
  pipe_ = ends[1];
  // Before there is a reader that could be gone already, which would be a signal to us. A line is far below a pipe's capacity: no blocking.
  const std::string line = introduction + "\n";
  [[maybe_unused]] const auto written = write(pipe_, line.data(), line.size());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  // Nothing else of ours may live on in there: an inherited socket would keep its port busy and hide the end of a connection.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  // Whatever signals the parent blocks, the child starts with none blocked.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t empty;
  sigemptyset(&empty);
  posix_spawnattr_setsigmask(&attributes, &empty);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int error = posix_spawn(&pid_, program.c_str(), &actions, &attributes, pointers.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (error != 0) {
    pid_ = -1;
    close(pipe_);
    check(error, "cannot start " + program.string());
  }
}

WorkerProcess::~WorkerProcess() {
  ask_to_end();
  if (pid_ > 0 && !ended()) {
    kill();
    int status = 0;
    waitpid(pid_, &status, 0);
  }
}

std::optional<std::string> WorkerProcess::ended() {
  if (how_) return how_;
  int status = 0;
  const pid_t found = waitpid(pid_, &status, WNOHANG);
  if (found == pid_) {
    how_ =
        WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status)) : "exit code " + std::to_string(WEXITSTATUS(status));
  } else if (found < 0 && errno == ECHILD) {
    how_ = "exit code unknown";  // whoever started us ignores SIGCHLD: the system reaps our children itself
  }
  return how_;
}

void WorkerProcess::ask_to_end() {
  if (pipe_ >= 0) close(std::exchange(pipe_, -1));
}

void WorkerProcess::kill() {
  if (!how_) ::kill(pid_, SIGKILL);
}

}  // namespace starling::actors
