#include <starling/training/free_memory.hpp>

#include <gtest/gtest.h>

#include <string>

#include <support/temporary_folder.hpp>

namespace starling::training {
namespace {

constexpr std::int64_t mib = 1 << 20;

class Machine {
 public:
  Machine& write(const std::string& file, const std::string& text) {
    folder_.write(file, text);
    return *this;
  }
  Machine& available(std::int64_t mib_of_it) {
    return write("proc/meminfo",
                 "MemTotal:       64000000 kB\nMemAvailable:    " + std::to_string(mib_of_it * 1024) + " kB\nCached: 1 kB\n");
  }
  std::optional<std::int64_t> free() const { return available_memory_bytes(folder_.path()); }

 private:
  TemporaryFolder folder_;
};

std::string bytes(std::int64_t value) { return std::to_string(value) + "\n"; }

TEST(AvailableMemory, IsUnknownWhereNothingSaysIt) { EXPECT_EQ(Machine().free(), std::nullopt); }

TEST(AvailableMemory, IsThatOfTheSystemWhereNoGroupHasALimit) {
  EXPECT_EQ(Machine().available(500).free(), 500 * mib);
  EXPECT_EQ(Machine().available(500).write("proc/self/cgroup", "0::/user\n").free(), 500 * mib);
  EXPECT_EQ(Machine()
                .available(500)
                .write("proc/self/cgroup", "0::/user\n")
                .write("sys/fs/cgroup/user/memory.max", "max\n")
                .write("sys/fs/cgroup/user/memory.current", bytes(mib))
                .free(),
            500 * mib);
}

TEST(AvailableMemory, IsWhatTheTightestGroupLeaves) {
  Machine machine;
  machine.available(500)
      .write("proc/self/cgroup", "0::/a/b\n")
      .write("sys/fs/cgroup/a/b/memory.max", bytes(400 * mib))
      .write("sys/fs/cgroup/a/b/memory.current", bytes(100 * mib));
  EXPECT_EQ(machine.free(), 300 * mib);
  machine.write("sys/fs/cgroup/a/memory.max", bytes(450 * mib)).write("sys/fs/cgroup/a/memory.current", bytes(350 * mib));
  EXPECT_EQ(machine.free(), 100 * mib);
  machine.write("sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file " + bytes(50 * mib) + "active_file 7\n");
  EXPECT_EQ(machine.free(), 150 * mib) << "what is only cached is free";
  machine.write("sys/fs/cgroup/a/memory.current", bytes(600 * mib)).write("sys/fs/cgroup/a/memory.stat", "");
  EXPECT_EQ(machine.free(), 0);
}

TEST(AvailableMemory, IsKnownInsideAContainerThatSeesItsGroupAsTheRoot) {
  EXPECT_EQ(Machine()
                .available(500)
                .write("proc/self/cgroup", "0::/system.slice/docker-1234.scope\n")
                .write("sys/fs/cgroup/memory.max", bytes(80 * mib))
                .write("sys/fs/cgroup/memory.current", bytes(20 * mib))
                .free(),
            60 * mib);
}

TEST(AvailableMemory, KnowsGroupsOfVersionOne) {
  Machine machine;
  machine.available(500)
      .write("proc/self/cgroup", "9:name=systemd:/\n8:cpu,memory:/job/1\n0::/\n")
      .write("sys/fs/cgroup/memory/job/1/memory.limit_in_bytes", "9223372036854771712\n")
      .write("sys/fs/cgroup/memory/job/1/memory.usage_in_bytes", bytes(100 * mib));
  EXPECT_EQ(machine.free(), 500 * mib);
  machine.write("sys/fs/cgroup/memory/job/1/memory.limit_in_bytes", bytes(110 * mib))
      .write("sys/fs/cgroup/memory/job/1/memory.stat", "total_inactive_file " + bytes(5 * mib));
  EXPECT_EQ(machine.free(), 15 * mib);
}

TEST(FreeMemory, IsKnownOnThisMachine) {
  const auto free = free_memory_bytes();
  ASSERT_TRUE(free);
  EXPECT_GT(*free, mib);
}

}  // namespace
}  // namespace starling::training
