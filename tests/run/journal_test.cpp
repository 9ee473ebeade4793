#include <starling/run/journal.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>

#include <starling/base/error.hpp>

#include <support/temporary_folder.hpp>

#include "sample_run.hpp"

namespace starling::run {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class JournalTest : public ::testing::Test {
 protected:
  TemporaryFolder directory_;
  std::filesystem::path path_ = directory_.path() / "journal";

  void write_bytes(std::span<const std::uint8_t> bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  }

  // Writes the records and returns the size of the file before each and at the end.
  std::vector<std::size_t> write_records(const std::vector<Record>& records) {
    auto journal = Journal::create(path_);
    std::vector<std::size_t> sizes{16};
    for (const auto& record : records) {
      journal.append(record);
      sizes.push_back(std::filesystem::file_size(path_));
    }
    journal.sync();
    return sizes;
  }
};

TEST(Crc32c, GivesThePublishedValues) {
  // RFC 3720, appendix B.4.
  const std::vector<std::uint8_t> zeros(32, 0), ones(32, 0xff);
  std::vector<std::uint8_t> rising(32);
  for (std::size_t i = 0; i < 32; ++i) rising[i] = static_cast<std::uint8_t>(i);
  for (const auto function : {&crc32c, &crc32c_portable}) {
    EXPECT_EQ(function("123456789", 9, 0), 0xe3069283u);
    EXPECT_EQ(function(zeros.data(), 32, 0), 0x8a9136aau);
    EXPECT_EQ(function(ones.data(), 32, 0), 0x62a8ab43u);
    EXPECT_EQ(function(rising.data(), 32, 0), 0x46dd794eu);
    EXPECT_EQ(function(nullptr, 0, 0), 0u);
  }
}

TEST(Crc32c, IsTheSameInPiecesAndByTable) {
  Stream stream(1, Purpose::test);
  std::vector<std::uint8_t> bytes(1000);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(stream.below(256));
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 7) {
    const auto whole = crc32c(bytes.data(), bytes.size());
    EXPECT_EQ(crc32c(bytes.data() + cut, bytes.size() - cut, crc32c(bytes.data(), cut)), whole);
    EXPECT_EQ(crc32c_portable(bytes.data() + cut, bytes.size() - cut, crc32c_portable(bytes.data(), cut)), whole);
  }
}

TEST_F(JournalTest, GivesBackRecordsInOrder) {
  const auto records = testing::sample_run();
  write_records(records);
  const auto content = read_journal(path_);
  ASSERT_EQ(content.entries.size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(content.entries[i].seq, i);
    EXPECT_EQ(encode(content.entries[i].record), encode(records[i]));
  }
  EXPECT_EQ(content.torn_bytes, 0u);
}

TEST_F(JournalTest, CutAnywhereGivesBackTheWholeRecordsBefore) {
  const auto records = testing::sample_run({1, 1, 8});
  const auto sizes = write_records(records);
  const auto bytes = read_file(path_);
  for (std::size_t cut = 16; cut <= bytes.size(); ++cut) {
    write_bytes(std::span(bytes).first(cut));
    const auto whole = static_cast<std::size_t>(std::upper_bound(sizes.begin(), sizes.end(), cut) - sizes.begin()) - 1;
    const auto content = read_journal(path_);
    ASSERT_EQ(content.entries.size(), whole) << "cut at " << cut;
    ASSERT_EQ(content.torn_bytes, cut - sizes[whole]);
  }
  for (std::size_t cut = 0; cut < 16; ++cut) {
    write_bytes(std::span(bytes).first(cut));
    EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<UserError>(HasSubstr("before its first record")));
  }
}

TEST_F(JournalTest, RefusesAFlippedByteBeforeTheLastRecordAndSaysWhere) {
  const auto records = testing::sample_run({1, 1, 8});
  const auto sizes = write_records(records);
  const auto bytes = read_file(path_);
  const auto last = sizes[sizes.size() - 2];
  for (std::size_t at = 16; at < last; ++at) {
    auto damaged = bytes;
    damaged[at] ^= 0x20;
    write_bytes(damaged);
    const auto record = static_cast<std::size_t>(std::upper_bound(sizes.begin(), sizes.end(), at) - sizes.begin()) - 1;
    EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<Failure>(AllOf(HasSubstr("damaged at byte " + std::to_string(sizes[record])),
                                                                           HasSubstr("head -c " + std::to_string(sizes[record])))))
        << "byte " << at;
    EXPECT_EQ(read_file(path_), damaged) << "reading changes nothing";
  }
}

TEST_F(JournalTest, TakesADamagedLastRecordForATornTail) {
  const auto records = testing::sample_run({1, 1, 8});
  const auto sizes = write_records(records);
  const auto bytes = read_file(path_);
  const auto last = sizes[sizes.size() - 2];
  for (std::size_t at = last; at < bytes.size(); ++at) {
    auto damaged = bytes;
    damaged[at] ^= 0x20;
    write_bytes(damaged);
    const auto content = read_journal(path_);
    EXPECT_EQ(content.entries.size(), records.size() - 1);
    EXPECT_EQ(content.torn_bytes, bytes.size() - last);
  }
  // Power loss: the length was durable, the pages were not.
  auto zeroed = bytes;
  std::fill(zeroed.begin() + static_cast<long>(last), zeroed.end(), std::uint8_t{0});
  write_bytes(zeroed);
  EXPECT_EQ(read_journal(path_).entries.size(), records.size() - 1);
}

TEST_F(JournalTest, RefusesAMissingRecord) {
  const auto records = testing::sample_run({5, 1, 8});
  const auto sizes = write_records(records);
  auto bytes = read_file(path_);
  bytes.erase(bytes.begin() + static_cast<long>(sizes[3]), bytes.begin() + static_cast<long>(sizes[4]));
  write_bytes(bytes);
  EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<Failure>(AllOf(HasSubstr("damaged at byte " + std::to_string(sizes[3])),
                                                                         HasSubstr("record 4 where record 3"))));
}

TEST_F(JournalTest, RefusesWhatIsNoJournal) {
  EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<UserError>(HasSubstr("no such file")));
  EXPECT_THAT([&] { read_journal(directory_.path()); }, ThrowsMessage<UserError>(HasSubstr("not a file")));
  std::ofstream(path_) << "name = \"quickstart\"\n";
  EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<UserError>(HasSubstr("not a journal")));
  std::ofstream(path_, std::ios::trunc) << "name";
  EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<UserError>(HasSubstr("not a journal")));
}

TEST_F(JournalTest, RefusesANewerVersionAndADamagedHeader) {
  write_records(testing::sample_run({1, 1, 8}));
  auto bytes = read_file(path_);
  bytes[8] = 2;
  write_bytes(bytes);
  EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<Failure>(HasSubstr("damaged at byte 0")));
  const auto crc = crc32c(bytes.data(), 12);
  std::memcpy(bytes.data() + 12, &crc, 4);
  write_bytes(bytes);
  EXPECT_THAT([&] { read_journal(path_); }, ThrowsMessage<UserError>(HasSubstr("newer")));
}

TEST_F(JournalTest, IsNeverCreatedOverAnother) {
  write_records(testing::sample_run({1, 1, 8}));
  const auto bytes = read_file(path_);
  EXPECT_THROW(Journal::create(path_), Failure);
  EXPECT_EQ(read_file(path_), bytes);
}

TEST_F(JournalTest, ReadsWhileItIsWritten) {
  auto journal = Journal::create(path_);
  EXPECT_TRUE(read_journal(path_).entries.empty());
  std::size_t count = 0;
  for (const auto& record : testing::sample_run({10, 2, 8})) {
    EXPECT_EQ(journal.append(record), count);
    EXPECT_EQ(read_journal(path_).entries.size(), ++count);
  }
  EXPECT_EQ(journal.next_seq(), count);
}

// A limit on the size of files makes write(2) short and then fail, like a full disk, at a byte of our choice.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    struct rlimit limit = old_;
    limit.rlim_cur = bytes;
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  struct rlimit old_ {};
  void (*handler_)(int) = nullptr;
};

TEST_F(JournalTest, OnAFullDiskIsCutBackToWholeRecordsAndRefusesMore) {
  const auto records = testing::sample_run({3, 1, 8});
  auto journal = Journal::create(path_);
  for (std::size_t i = 0; i < 4; ++i) journal.append(records[i]);
  const auto size = std::filesystem::file_size(path_);
  for (const rlim_t room : {0, 1, 15, 16, 100}) {
    std::filesystem::remove(path_);
    auto full = Journal::create(path_);
    for (std::size_t i = 0; i < 4; ++i) full.append(records[i]);
    {
      const FileSizeLimit limit(size + room);
      EXPECT_THAT([&] { full.append(records[4]); }, ThrowsMessage<Failure>(HasSubstr(path_.string())));
    }
    EXPECT_EQ(std::filesystem::file_size(path_), size);
    EXPECT_THAT([&] { full.append(records[4]); }, ThrowsMessage<Failure>(HasSubstr("no more records")));
    full.sync();
    EXPECT_EQ(full.next_seq(), 4u);
    const auto content = read_journal(path_);
    EXPECT_EQ(content.entries.size(), 4u);
    EXPECT_EQ(content.torn_bytes, 0u);
  }
}

// The child writes records and tells through a pipe which are durable; it is killed after a number of acknowledgements, wherever it is then.
TEST_F(JournalTest, KeepsEveryAcknowledgedRecordWhenTheWriterIsKilled) {
  Stream stream(11, Purpose::test);
  const auto records = testing::sample_run({40, 8, 8});
  for (int round = 0; round < 25; ++round) {
    std::filesystem::remove(path_);
    const auto kill_after = 1 + stream.below(30);
    const auto group = 1 + stream.below(4);
    int channel[2];
    ASSERT_EQ(::pipe(channel), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(channel[0]);
      auto journal = Journal::create(path_);
      for (std::size_t i = 0;; ++i) {
        const auto seq = journal.append(records[i % records.size()]);
        if (i % group != 0) continue;
        journal.sync();
        if (::write(channel[1], &seq, sizeof seq) != sizeof seq) ::_exit(1);
      }
    }
    ::close(channel[1]);
    std::uint64_t acknowledged = 0;
    for (std::uint64_t n = 0; n < kill_after; ++n) ASSERT_EQ(::read(channel[0], &acknowledged, sizeof acknowledged), 8);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    // What the pipe still holds was acknowledged too.
    for (std::uint64_t seq = 0; ::read(channel[0], &seq, sizeof seq) == 8;) acknowledged = seq;
    ::close(channel[0]);
    const auto content = read_journal(path_);
    ASSERT_GT(content.entries.size(), acknowledged);
    for (const auto& entry : content.entries) {
      ASSERT_EQ(encode(entry.record), encode(records[entry.seq % records.size()]));
    }
  }
}

TEST_F(JournalTest, GoesOnWhereItEnded) {
  const auto records = testing::sample_run({6, 2, 8});
  write_records(records);
  {
    auto [journal, content] = Journal::open(path_);
    EXPECT_EQ(content.entries.size(), records.size());
    EXPECT_EQ(journal.next_seq(), records.size());
    EXPECT_EQ(journal.append(records[3]), records.size());
    journal.sync();
  }
  const auto content = read_journal(path_);
  ASSERT_EQ(content.entries.size(), records.size() + 1);
  for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ(encode(content.entries[i].record), encode(records[i]));
  EXPECT_EQ(encode(content.entries.back().record), encode(records[3]));
}

TEST_F(JournalTest, GoesOnBehindTheLastWholeRecordOfATornOne) {
  const auto records = testing::sample_run({6, 2, 8});
  const auto sizes = write_records(records);
  for (const std::size_t torn : {std::size_t{1}, std::size_t{15}, sizes.back() - sizes[sizes.size() - 2] - 1}) {
    std::filesystem::resize_file(path_, sizes.back() - torn);
    {
      auto [journal, content] = Journal::open(path_);
      EXPECT_EQ(content.entries.size(), records.size() - 1);
      journal.append(records.back());
      journal.sync();
    }
    const auto content = read_journal(path_);
    EXPECT_EQ(content.entries.size(), records.size());
    EXPECT_EQ(content.torn_bytes, 0u);
  }
}

TEST_F(JournalTest, LetsOneProcessWriteAtATime) {
  std::optional<Journal> writer = Journal::create(path_);
  EXPECT_THAT([&] { Journal::open(path_); }, ThrowsMessage<UserError>(HasSubstr("another process writes to this run")));
  writer->append(RunEnded{});
  writer->sync();
  EXPECT_EQ(read_journal(path_).entries.size(), 1u) << "readers are kept out by nobody";
  writer.reset();
  std::optional<Journal::Opened> next = Journal::open(path_);
  EXPECT_THROW(Journal::open(path_), UserError);
  next.reset();
  EXPECT_NO_THROW(Journal::open(path_));
}

TEST_F(JournalTest, IsNotOpenedWhereThereIsNoneOrItIsDamaged) {
  EXPECT_THAT([&] { Journal::open(path_); }, ThrowsMessage<UserError>(HasSubstr("no such file")));
  const auto sizes = write_records(testing::sample_run({6, 2, 8}));
  auto bytes = read_file(path_);
  bytes[sizes[2] + 20] ^= 1;
  write_bytes(bytes);
  EXPECT_THROW(Journal::open(path_), Failure);
  EXPECT_EQ(read_file(path_), bytes) << "damage is never cut";
}

}  // namespace
}  // namespace starling::run
