#include <starling/run/journal.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <starling/base/error.hpp>

namespace starling::run {
namespace {

constexpr std::array<char, 8> magic{'S', 'T', 'A', 'R', 'L', 'I', 'N', 'G'};
constexpr std::uint32_t version = 1;
constexpr std::size_t file_header = 16;
constexpr std::size_t record_header = 16;
constexpr std::size_t largest_payload = std::size_t{1} << 30;

template <class T>
T load(const std::uint8_t* from) {
  T value{};
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(std::uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

std::array<std::uint8_t, file_header> make_file_header() {
  std::array<std::uint8_t, file_header> header{};
  std::memcpy(header.data(), magic.data(), magic.size());
  store(header.data() + 8, version);
  store(header.data() + 12, crc32c(header.data(), 12));
  return header;
}

// Of length, seq and payload, which do not lie together.
std::uint32_t record_checksum(const std::uint8_t* record, std::size_t payload) {
  return crc32c(record + 8, 8 + payload, crc32c(record, 4));
}

struct RawRecord {
  std::uint64_t seq = 0;
  std::span<const std::uint8_t> payload;
};

// The record at `offset`, if one lies there whole with seq in [first, last].
std::optional<RawRecord> record_at(std::span<const std::uint8_t> file, std::size_t offset, std::uint64_t first, std::uint64_t last) {
  if (file.size() - offset < record_header) return {};
  const auto* record = file.data() + offset;
  const std::size_t payload = load<std::uint32_t>(record);
  if (payload > file.size() - offset - record_header || payload > largest_payload) return {};
  const auto seq = load<std::uint64_t>(record + 8);
  if (seq < first || seq > last) return {};
  if (record_checksum(record, payload) != load<std::uint32_t>(record + 4)) return {};
  return RawRecord{seq, file.subspan(offset + record_header, payload)};
}

struct Found {
  std::size_t offset = 0;
  std::uint64_t seq = 0;
};

// The next place behind `offset` where a record lies whose number can follow. The range of numbers is narrow, so that few places
// cost a checksum.
std::optional<Found> find_record_behind(std::span<const std::uint8_t> file, std::size_t offset, std::uint64_t expected) {
  const std::uint64_t most = expected + file.size() / record_header;
  for (std::size_t at = offset + 1; at + record_header <= file.size(); ++at) {
    if (const auto record = record_at(file, at, expected, most)) return Found{at, record->seq};
  }
  return {};
}

[[noreturn]] void refuse_damage(const std::filesystem::path& path, std::size_t offset, std::uint64_t whole, const std::string& found) {
  throw Failure(fmt::format(
      "{0}: damaged at byte {1}: {2}. The {3} records before it are whole. Nothing was changed. Restore the file from a copy, or keep "
      "just those records with: head -c {1} '{0}' > '{0}.whole' && mv '{0}.whole' '{0}'",
      path.string(), offset, found, whole));
}

void check_file_header(const std::filesystem::path& path, std::span<const std::uint8_t> file) {
  const auto header = make_file_header();
  if (file.size() < file_header) {
    if (!std::equal(file.begin(), file.end(), header.begin())) throw UserError(path.string() + ": not a journal of Starling");
    throw UserError(fmt::format("{}: holds {} of the {} bytes of a journal's header: the run ended before its first record", path.string(),
                                file.size(), file_header));
  }
  if (std::memcmp(file.data(), magic.data(), magic.size()) != 0) throw UserError(path.string() + ": not a journal of Starling");
  if (crc32c(file.data(), 12) != load<std::uint32_t>(file.data() + 12)) {
    throw Failure(fmt::format("{}: damaged at byte 0: the header's checksum is wrong. Nothing was changed. Restore the file from a copy",
                              path.string()));
  }
  const auto found = load<std::uint32_t>(file.data() + 8);
  if (found > version) {
    throw UserError(fmt::format("{}: journal of version {}, written by a newer Starling; this one reads up to version {}", path.string(),
                                found, version));
  }
}

void lock(const Descriptor& file, const std::filesystem::path& path) {
  int locked = 0;
  do {
    locked = ::flock(file.get(), LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked == 0 || errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) return;
  if (errno != EWOULDBLOCK) throw system_failure("cannot lock '" + path.string() + "'", errno);
  throw UserError(path.string() + ": another process writes to this run; wait for its end, or stop it");
}

}  // namespace

Journal::Journal(Descriptor file, std::filesystem::path path, std::uint64_t size)
    : file_(std::move(file)), path_(std::move(path)), size_(size) {}

Journal Journal::create(const std::filesystem::path& path) {
  auto file = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
  lock(file, path);
  const auto header = make_file_header();
  write_all(file, header.data(), header.size(), path);
  if (::fsync(file.get()) != 0) throw system_failure("cannot make '" + path.string() + "' durable", errno);
  sync_directory(path.has_parent_path() ? path.parent_path() : ".");
  return Journal(std::move(file), path, header.size());
}

Journal::Opened Journal::open(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw UserError(path.string() + ": no such file");
  auto file = open_file(path, O_WRONLY | O_APPEND);
  lock(file, path);  // before reading: what another process appends must not be missed
  auto content = read_journal(path);
  const auto size = std::filesystem::file_size(path) - content.torn_bytes;
  if (content.torn_bytes > 0 && (::ftruncate(file.get(), static_cast<off_t>(size)) != 0 || ::fsync(file.get()) != 0)) {
    throw system_failure("cannot cut the unfinished end of '" + path.string() + "'", errno);
  }
  Journal journal(std::move(file), path, size);
  journal.next_seq_ = content.entries.size();
  return {std::move(journal), std::move(content)};
}

std::uint64_t Journal::append(const Record& record) {
  if (refuses_appends_) throw Failure("'" + path_.string() + "' takes no more records after an earlier write error");
  const auto payload = encode(record);
  if (payload.size() > largest_payload) {
    throw Failure(fmt::format("a record of {} bytes is too large for '{}' (at most {})", payload.size(), path_.string(), largest_payload));
  }
  std::vector<std::uint8_t> bytes(record_header + payload.size());
  store(bytes.data(), static_cast<std::uint32_t>(payload.size()));
  store(bytes.data() + 8, next_seq_);
  std::memcpy(bytes.data() + record_header, payload.data(), payload.size());
  store(bytes.data() + 4, record_checksum(bytes.data(), payload.size()));
  try {
    write_all(file_, bytes.data(), bytes.size(), path_);
  } catch (const Failure&) {
    // A reader takes what stays of the record for a torn tail, so that nothing is lost where cutting fails as well.
    refuses_appends_ = true;
    int cut = 0;
    do {
      cut = ::ftruncate(file_.get(), static_cast<off_t>(size_));
    } while (cut != 0 && errno == EINTR);
    throw;
  }
  size_ += bytes.size();
  unsynced_ = true;
  return next_seq_++;
}

void Journal::sync() {
  if (refuses_syncs_) throw Failure("'" + path_.string() + "' could not be made durable earlier; its last records may be lost");
  if (!unsynced_) return;
  if (::fdatasync(file_.get()) != 0) {
    const int error = errno;
    refuses_appends_ = refuses_syncs_ = true;
    throw system_failure("cannot make '" + path_.string() + "' durable", error);
  }
  unsynced_ = false;
}

JournalContent read_journal(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw UserError(path.string() + ": no such file");
  if (!std::filesystem::is_regular_file(path, error)) throw UserError(path.string() + ": not a file");
  const auto file = read_file(path);
  check_file_header(path, file);

  JournalContent content;
  std::size_t offset = file_header;
  while (offset < file.size()) {
    const std::uint64_t expected = content.entries.size();
    const auto record = record_at(file, offset, 0, ~std::uint64_t{0});
    if (!record) {
      if (const auto behind = find_record_behind(file, offset, expected)) {
        refuse_damage(path, offset, expected, fmt::format("no whole record, but record {} lies at byte {}", behind->seq, behind->offset));
      }
      content.torn_bytes = file.size() - offset;
      break;
    }
    if (record->seq != expected) {
      refuse_damage(path, offset, expected, fmt::format("record {} where record {} was expected", record->seq, expected));
    }
    try {
      content.entries.push_back({expected, decode(record->payload)});
    } catch (const Failure& unreadable) {
      // The checksum is right, so these bytes were written like this: by a program that is newer or wrong, not by a disk.
      throw Failure(
          fmt::format("{}: record {} at byte {} cannot be understood: {}. Nothing was changed. Read it with the version of Starling "
                      "that wrote it",
                      path.string(), expected, offset, unreadable.what()));
    }
    offset += record_header + record->payload.size();
  }
  return content;
}

}  // namespace starling::run
