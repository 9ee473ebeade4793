#include <starling/run/files.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include <support/temporary_folder.hpp>

#include "sample_run.hpp"

namespace starling::run {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string text_of(const std::filesystem::path& path) {
  const auto bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777;
}

TEST(DurableFile, AppearsWholeOrNotAtAll) {
  TemporaryFolder directory;
  const auto path = directory.path() / "file";
  write_durably(path, "old");
  {
    DurableFile file(path);
    file.write("new", 3);
    EXPECT_EQ(text_of(path), "old");
  }
  EXPECT_EQ(text_of(path), "old");
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "file.tmp"));
  write_durably(path, "newer");
  EXPECT_EQ(text_of(path), "newer");
}

TEST(DurableFile, WrittenOnAFullDiskLeavesTheOldOne) {
  TemporaryFolder directory;
  const auto path = directory.path() / "file";
  write_durably(path, "old");
  std::filesystem::create_symlink("/dev/full", directory.path() / "file.tmp");
  EXPECT_THAT([&] { write_durably(path, "new"); }, ThrowsMessage<Failure>(HasSubstr("No space left on device")));
  EXPECT_EQ(text_of(path), "old");
  write_durably(path, "new");
  EXPECT_EQ(text_of(path), "new");
}

TEST(RunDirectories, AreNumberedFromOneAndPrivate) {
  TemporaryFolder directory;
  const auto runs = directory.path() / "deep" / "runs";
  EXPECT_EQ(next_run_directory(runs, "quickstart"), runs / "quickstart-1");
  EXPECT_EQ(next_run_directory(runs, "quickstart"), runs / "quickstart-2");
  EXPECT_EQ(next_run_directory(runs, "other"), runs / "other-1");
  std::filesystem::remove(runs / "quickstart-1");
  std::ofstream(runs / "quickstart-3") << "a file";
  EXPECT_EQ(next_run_directory(runs, "quickstart"), runs / "quickstart-1");
  EXPECT_EQ(next_run_directory(runs, "quickstart"), runs / "quickstart-4");
  EXPECT_EQ(mode_of(runs / "quickstart-4"), 0700u);
}

TEST(RunDirectories, AreNeverGivenTwice) {
  TemporaryFolder directory;
  std::vector<std::vector<std::filesystem::path>> taken(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : taken) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) mine.push_back(next_run_directory(directory.path() / "runs", "race"));
      });
    }
  }
  std::set<std::filesystem::path> all;
  for (const auto& mine : taken) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 80u);
}

TEST(RunDirectories, RefuseNamesThatAreNone) {
  TemporaryFolder directory;
  for (const std::string name : {"", "..", ".hidden", "a/b", "/"}) {
    EXPECT_THROW(next_run_directory(directory.path(), name), UserError) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(RunDirectories, GivenByTheUserMustBeNewOrEmpty) {
  TemporaryFolder directory;
  const auto path = directory.path() / "a" / "b";
  create_run_directory(path);
  EXPECT_EQ(mode_of(path), 0700u);
  create_run_directory(path);
  std::ofstream(path / "journal") << "x";
  EXPECT_THAT([&] { create_run_directory(path); }, ThrowsMessage<UserError>(HasSubstr("in use")));
  EXPECT_THAT([&] { create_run_directory(path / "journal"); }, ThrowsMessage<UserError>(HasSubstr("no directory")));
  EXPECT_THROW(create_run_directory(path / "journal" / "below"), UserError);
}

}  // namespace
}  // namespace starling::run
