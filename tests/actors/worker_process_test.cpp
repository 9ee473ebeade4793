#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <starling/actors/worker_process.hpp>
#include <starling/base/error.hpp>

#include "protocol_fixture.hpp"

namespace starling::actors {
namespace {

class WorkerProcesses : public ::testing::Test {
 protected:
  WorkerProcess run(const std::string& script) {
    std::ofstream(program()) << "#!/bin/sh\n" << script << '\n';
    std::filesystem::permissions(program(), std::filesystem::perms::owner_all);
    return {program(), {"worker", "w7", "--device", "cuda:1"}, log(), "4711 secret"};
  }
  std::string end_of(WorkerProcess& process) {
    while (!process.ended()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return *process.ended();
  }
  std::string logged() const {
    std::ostringstream text;
    text << std::ifstream(log()).rdbuf();
    return text.str();
  }
  std::filesystem::path program() const { return directory_.path() / "program"; }
  std::filesystem::path log() const { return directory_.path() / "log"; }

  TemporaryFolder directory_;
};

TEST_F(WorkerProcesses, AreToldTheirArgumentsAndTheIntroductionAndWriteToTheLog) {
  auto process = run("read line; echo $* $line; echo error >&2; exit 3");
  EXPECT_EQ(end_of(process), "exit code 3");
  EXPECT_EQ(logged(), "worker w7 --device cuda:1 4711 secret\nerror\n");
}

TEST_F(WorkerProcesses, InheritNoDescriptorButTheStandardOnes) {
  const int ours = fcntl(STDIN_FILENO, F_DUPFD, 57);  // without O_CLOEXEC, as libraries open their sockets
  ASSERT_GE(ours, 57);
  auto process = run("test -e /proc/self/fd/2 && echo 2; test -e /proc/self/fd/" + std::to_string(ours) + " && echo ours");
  end_of(process);
  close(ours);
  EXPECT_EQ(logged(), "2\n");
}

TEST_F(WorkerProcesses, EndWithTheirStandardInput) {
  auto process = run("cat > /dev/null");
  EXPECT_FALSE(process.ended());
  process.ask_to_end();
  EXPECT_EQ(end_of(process), "exit code 0");
}

TEST_F(WorkerProcesses, AreKilledAndReapedWithTheirOwner) {
  pid_t pid = 0;
  {
    const auto process = run("exec sleep 1000");
    pid = process.pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(WorkerProcesses, AreSeenToEndWhereTheSystemReapsThem) {
  const auto before = signal(SIGCHLD, SIG_IGN);  // as some daemons leave it to whatever they start
  auto process = run("exit 0");
  EXPECT_EQ(end_of(process), "exit code unknown");
  signal(SIGCHLD, before);
}

TEST_F(WorkerProcesses, ThatCannotBeStartedAreAFailure) {
  EXPECT_THROW(WorkerProcess(directory_.path() / "nothing", {"worker", "w0"}, log(), ""), Failure);
}

}  // namespace
}  // namespace starling::actors
