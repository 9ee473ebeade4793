#include <starling/run/files.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace starling::run {
namespace {

std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

std::filesystem::path parent_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (number_ >= 0) ::close(number_);
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Failure system_failure(const std::string& what, int error) { return Failure(what + ": " + std::generic_category().message(error)); }

Descriptor open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  int number = -1;
  do {
    number = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (number < 0 && errno == EINTR);
  if (number < 0) throw system_failure("cannot open " + quoted(path), errno);
  return Descriptor(number);
}

void write_all(const Descriptor& file, const void* data, std::size_t bytes, const std::filesystem::path& path) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(file.get(), at, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      throw system_failure("cannot write " + quoted(path), errno);
    }
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  const auto file = open_file(path, O_RDONLY);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw system_failure("cannot read " + quoted(path), errno);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t have = 0;
  // What another process appends meanwhile is not waited for; what it cuts off is noticed as an early end.
  while (have < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw system_failure("cannot read " + quoted(path), errno);
    }
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

void sync_directory(const std::filesystem::path& directory) {
  const auto file = open_file(directory, O_RDONLY | O_DIRECTORY);
  if (::fsync(file.get()) != 0) throw system_failure("cannot make directory " + quoted(directory) + " durable", errno);
}

DurableFile::DurableFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(path_.string() + ".tmp"), file_(open_file(temporary_, O_WRONLY | O_CREAT | O_TRUNC)) {}

DurableFile::~DurableFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void DurableFile::commit() {
  if (::fsync(file_.get()) != 0) throw system_failure("cannot make " + quoted(temporary_) + " durable", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_failure("cannot rename " + quoted(temporary_), errno);
  committed_ = true;
  sync_directory(parent_of(path_));
}

void write_durably(const std::filesystem::path& path, std::string_view content) {
  DurableFile file(path);
  file.write(content.data(), content.size());
  file.commit();
}

bool create_private_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return false;
    throw system_failure("cannot create directory " + quoted(path), errno);
  }
  sync_directory(parent_of(path));
  return true;
}

void create_run_directory(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status)) {
    if (!std::filesystem::is_directory(status)) throw UserError(quoted(path) + " exists and is no directory: name another with --out");
    if (!std::filesystem::is_empty(path, error) || error) {
      throw UserError("directory " + quoted(path) + " is in use: a run needs a new or an empty directory");
    }
    return;
  }
  const auto parent = parent_of(path);
  std::filesystem::create_directories(parent, error);
  if (error) throw UserError("cannot create directory " + quoted(parent) + ": " + error.message());
  if (!create_private_directory(path)) throw UserError("directory " + quoted(path) + " is in use: another run has just taken it");
}

std::filesystem::path next_run_directory(const std::filesystem::path& parent, const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
    throw UserError("'" + name + "' cannot name a run directory: expected a name without '/' that does not start with '.'");
  }
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) throw UserError("cannot create directory " + quoted(parent) + ": " + error.message());
  for (std::uint64_t number = 1;; ++number) {
    auto path = parent / (name + "-" + std::to_string(number));
    if (create_private_directory(path)) return path;
  }
}

}  // namespace starling::run
