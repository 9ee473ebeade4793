#include <starling/run/publisher.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include <starling/base/error.hpp>
#include <starling/run/files.hpp>
#include <starling/run/hdf5.hpp>
#include <starling/run/summary.hpp>
#include <starling/search/steady_state.hpp>

#include <support/temporary_folder.hpp>

#include "sample_run.hpp"

// What the file holds is checked from outside, by check_run_h5.py; here is what an outsider cannot cause.

namespace starling::run {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class PublisherTest : public ::testing::Test {
 protected:
  TemporaryFolder directory_;
  std::filesystem::path file_ = directory_.path() / "run.h5";

  std::int64_t published() const {
    const h5::Handle file(H5Fopen(file_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open run.h5");
    return h5::read_integer_attribute(file.get(), "journal_next_seq");
  }
};

struct Membership {
  std::int64_t candidate_id, entered_seq, left_seq, replaced_by;
};

std::vector<Membership> read_memberships(const std::filesystem::path& path, const char* name) {
  const h5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open run.h5");
  const h5::Handle dataset(H5Dopen2(file.get(), name, H5P_DEFAULT), H5Dclose, "open a table");
  const h5::Handle space(H5Dget_space(dataset.get()), H5Sclose, "read a table");
  const h5::Handle type(H5Tcreate(H5T_COMPOUND, sizeof(Membership)), H5Tclose, "make a type");
  H5Tinsert(type.get(), "candidate_id", 0, H5T_NATIVE_INT64);
  H5Tinsert(type.get(), "entered_seq", 8, H5T_NATIVE_INT64);
  H5Tinsert(type.get(), "left_seq", 16, H5T_NATIVE_INT64);
  H5Tinsert(type.get(), "replaced_by", 24, H5T_NATIVE_INT64);
  std::vector<Membership> rows(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get())));
  h5::check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.data()), "read a table");
  return rows;
}

TEST_F(PublisherTest, WritesNothingBeforeItIsAskedAndAfterThatWhatItWasGiven) {
  const auto entries = testing::as_entries(testing::sample_run());
  Publisher publisher(directory_.path());
  publisher.publish();
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  for (const auto& entry : entries) {
    publisher.add(entry);
    publisher.publish();
    ASSERT_EQ(published(), static_cast<std::int64_t>(entry.seq) + 1);
  }
}

TEST_F(PublisherTest, RefusesRecordsOutOfOrder) {
  const auto entries = testing::as_entries(testing::sample_run());
  Publisher publisher(directory_.path());
  EXPECT_THROW(publisher.add(entries[1]), Failure);
  publisher.add(entries[0]);
  EXPECT_THAT([&] { publisher.add(entries[2]); }, ThrowsMessage<Failure>(HasSubstr("record 2 where record 1")));
  EXPECT_THROW(publisher.add({1, entries[0].record}), Failure) << "a second start";
  Publisher other(directory_.path());
  EXPECT_THAT([&] { other.add({0, entries[1].record}); }, ThrowsMessage<Failure>(HasSubstr("start of a run")));
}

TEST_F(PublisherTest, OnAFullDiskLeavesTheOldFileAndCatchesUpLater) {
  const auto entries = testing::as_entries(testing::sample_run());
  Publisher publisher(directory_.path());
  std::size_t next = 0;
  const auto add_until = [&](std::size_t end) {
    while (next < end) publisher.add(entries[next++]);
  };
  add_until(50);
  publisher.publish();
  const auto old = read_file(file_);
  for (const std::size_t until : {60u, 70u, 80u}) {
    add_until(until);
    std::filesystem::create_symlink("/dev/full", directory_.path() / "run.h5.tmp");
    EXPECT_THAT([&] { publisher.publish(); }, ThrowsMessage<Failure>(HasSubstr("No space left on device")));
    EXPECT_EQ(read_file(file_), old);
  }
  EXPECT_EQ(published(), 50);
  add_until(entries.size());
  publisher.publish();
  EXPECT_EQ(published(), static_cast<std::int64_t>(entries.size()));
}

TEST_F(PublisherTest, StoppedByALimitOnFileSizesGoesOnAfterwards) {
  const auto entries = testing::as_entries(testing::sample_run());
  Publisher publisher(directory_.path());
  for (const auto& entry : entries) publisher.add(entry);
  struct rlimit old {};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t bytes : {0, 100, 5000}) {
    struct rlimit limit = old;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_THROW(publisher.publish(), Failure);
    EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  publisher.publish();
  EXPECT_EQ(published(), static_cast<std::int64_t>(entries.size()));
}

TEST_F(PublisherTest, KeepsRunsOfOneProcessApart) {
  const auto entries = testing::as_entries(testing::sample_run());
  TemporaryFolder other_directory;
  Publisher one(directory_.path()), other(other_directory.path());
  for (std::size_t i = 0; i < 40; ++i) {
    one.add(entries[i]);
    if (i < 20) other.add(entries[i]);
  }
  one.publish();
  other.publish();
  EXPECT_EQ(published(), 40);
  Publisher moved = std::move(other);
  moved.add(entries[20]);
  moved.publish();
  const h5::Handle file(H5Fopen((other_directory.path() / "run.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open run.h5");
  EXPECT_EQ(h5::read_integer_attribute(file.get(), "journal_next_seq"), 21);
}

// A reader in another process opens the file again and again while it is published; each time it is whole and never older than before.
TEST_F(PublisherTest, IsOpenedWholeAtEveryMoment) {
  const auto entries = testing::as_entries(testing::sample_run({40, 5, 8}));
  Publisher publisher(directory_.path());
  publisher.add(entries[0]);
  publisher.publish();
  int stop[2];
  ASSERT_EQ(::pipe(stop), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(stop[1]);
    std::int64_t last = 0;
    try {
      for (bool once_more = true;;) {
        const auto now = published();
        read_memberships(file_, "population");
        if (now < last) ::_exit(2);
        last = now;
        if (!once_more) ::_exit(last == static_cast<std::int64_t>(entries.size()) ? 0 : 3);
        char byte = 0;
        fd_set set;
        FD_ZERO(&set);
        FD_SET(stop[0], &set);
        timeval no_wait{};
        if (::select(stop[0] + 1, &set, nullptr, nullptr, &no_wait) > 0 && ::read(stop[0], &byte, 1) == 0) once_more = false;
      }
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  ::close(stop[0]);
  for (std::size_t i = 1; i < entries.size(); ++i) {
    publisher.add(entries[i]);
    publisher.publish();
  }
  ::close(stop[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// The publisher and the search must never tell different stories of who is in.
TEST_F(PublisherTest, ShowsTheMembersTheSearchHasAndTheFrontTheSummaryHas) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto entries = testing::as_entries(testing::sample_run({80, 1, 8}, seed));
    const auto started = std::get<RunStarted>(entries[0].record);
    search::SteadyState::Settings settings;
    settings.breeding.seed = started.seed;
    settings.breeding.population = started.population;
    settings.objectives = started.objectives.size();
    search::SteadyState search(settings);
    Publisher publisher(directory_.path());
    for (const auto& entry : entries) {
      publisher.add(entry);
      if (const auto* candidate = std::get_if<CandidateAccepted>(&entry.record)) search.apply_candidate(candidate->candidate);
      const auto* evaluation = std::get_if<EvaluationRecorded>(&entry.record);
      if (evaluation != nullptr && evaluation->outcome.status != search::Status::superseded) search.apply_outcome(evaluation->outcome);
      if (entry.seq % 7 == 0) publisher.publish();
    }
    publisher.publish();

    const auto present = [&](const char* table) {
      std::set<std::int64_t> ids;
      for (const auto& row : read_memberships(file_, table)) {
        EXPECT_LT(row.entered_seq, static_cast<std::int64_t>(entries.size()));
        EXPECT_EQ(row.left_seq == -1, row.replaced_by == -1);
        if (row.left_seq == -1) {
          EXPECT_TRUE(ids.insert(row.candidate_id).second);
        } else {
          EXPECT_GT(row.left_seq, row.entered_seq);
        }
      }
      return ids;
    };
    std::set<std::int64_t> members, front;
    for (const auto& member : search.population().members()) members.insert(static_cast<std::int64_t>(member.id()));
    for (const auto id : summarise(entries).front) front.insert(static_cast<std::int64_t>(id));
    EXPECT_EQ(present("population"), members);
    EXPECT_EQ(members.size(), started.population);
    EXPECT_EQ(present("archive"), front);
  }
}

}  // namespace
}  // namespace starling::run
