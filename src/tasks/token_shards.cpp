#include <starling/tasks/token_shards.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/thousands.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "shards are little-endian and mapped as they are");

using Header = std::array<std::int32_t, 256>;
static_assert(sizeof(Header) == shard_header_bytes);

/// A file in the address space, for reading.
class Mapping {
 public:
  Mapping(const fs::path& path, const std::string& asked_by) {
    const auto unreadable = [&](int code) { return UserError(asked_by + ": cannot read '" + path.string() + "': " + std::strerror(code)); };
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw unreadable(errno);
    struct stat status {};
    const bool known = fstat(file, &status) == 0;
    if (known && status.st_size > 0) {
      void* data = mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED, file, 0);
      if (data != MAP_FAILED) bytes_ = {static_cast<const std::byte*>(data), static_cast<std::size_t>(status.st_size)};
    }
    const int error = errno;
    close(file);
    if (known && status.st_size == 0) throw UserError(asked_by + ": '" + path.string() + "' is empty, expected tokens");
    if (bytes_.empty()) throw unreadable(error);
  }
  ~Mapping() { munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

/// Tokens of no text: a date of these years and a small number of a version, then nothing but zeros.
bool looks_like_a_header(const Header& header) {
  const bool date = header[0] > 20'200'000 && header[0] < 20'500'000;
  return date && header[1] >= 0 && header[1] < 1000 && std::all_of(header.begin() + 8, header.end(), [](auto word) { return word == 0; });
}

/// Every second one is next to nothing: the upper halves of 32-bit tokens. Of true tokens so many in a row never are.
bool looks_like_32_bit(std::span<const std::uint16_t> tokens) {
  constexpr std::size_t enough = 64, looked_at = 4096;
  if (tokens.size() < enough) return false;
  for (std::size_t i = 1; i < std::min(tokens.size(), looked_at); i += 2) {
    if (tokens[i] > 3) return false;
  }
  return std::ranges::any_of(tokens.first(std::min(tokens.size(), looked_at)), [](auto token) { return token > 3; });
}

}  // namespace

void add_shard(const fs::path& path, const std::string& asked_by, TokenStream& stream) {
  const auto mapping = std::make_shared<const Mapping>(path, asked_by);
  std::span<const std::byte> bytes = mapping->bytes();
  const auto wrong = [&](const std::string& what) { return UserError(asked_by + ": '" + path.string() + "' " + what); };
  Header header{};
  const auto size = std::ssize(bytes);
  if (size >= 4) std::memcpy(header.data(), bytes.data(), std::min(sizeof header, bytes.size()));
  if (header[0] == shard_magic || (size >= shard_header_bytes && looks_like_a_header(header))) {
    if (size < shard_header_bytes) throw wrong("is truncated: expected a header of 1,024 bytes, found " + thousands(size));
    if (header[0] != shard_magic || header[1] != shard_version) {
      throw wrong("begins with the magic number " + std::to_string(header[0]) + " and version " + std::to_string(header[1]) +
                  ", expected an llm.c shard of 16-bit tokens: " + std::to_string(shard_magic) + " and " + std::to_string(shard_version));
    }
    const std::int64_t there = (size - shard_header_bytes) / 2;
    if (there != header[2] || size % 2 != 0) {
      throw wrong("is truncated or unfinished: its header says " + thousands(header[2]) + " tokens, expected " +
                  thousands(shard_header_bytes + 2 * std::int64_t{header[2]}) + " bytes, found " + thousands(size));
    }
    bytes = bytes.subspan(shard_header_bytes);
  } else if (size % 2 != 0) {
    throw wrong("has " + thousands(size) + " bytes, expected 16-bit tokens: an even number");
  }
  const std::span tokens(reinterpret_cast<const std::uint16_t*>(bytes.data()), bytes.size() / 2);
  if (header[0] != shard_magic && looks_like_32_bit(tokens)) {
    throw wrong("seems to hold 32-bit tokens, as every second 16-bit number is near 0; expected 16-bit ones");
  }
  stream.add(tokens, mapping, path.string());
}

struct ShardWriter::File {
  std::FILE* stream = nullptr;
  ~File() {
    if (stream != nullptr) std::fclose(stream);
  }
};

ShardWriter::ShardWriter(fs::path path) : path_(std::move(path)), file_(std::make_unique<File>()) {
  file_->stream = std::fopen(path_.c_str(), "wbe");
  if (file_->stream == nullptr) throw Failure("cannot write '" + path_.string() + "': " + std::strerror(errno));
  const Header header{shard_magic, shard_version, 0};
  if (std::fwrite(header.data(), sizeof header, 1, file_->stream) != 1) {
    throw Failure("cannot write '" + path_.string() + "': " + std::strerror(errno));
  }
}

ShardWriter::~ShardWriter() = default;

void ShardWriter::write(std::span<const std::uint16_t> tokens) {
  if (std::fwrite(tokens.data(), 2, tokens.size(), file_->stream) != tokens.size()) {
    throw Failure("cannot write '" + path_.string() + "': " + std::strerror(errno));
  }
  tokens_ += std::ssize(tokens);
}

void ShardWriter::finish() {
  const auto count = static_cast<std::int32_t>(tokens_);
  std::FILE* stream = std::exchange(file_->stream, nullptr);
  bool good = std::fseek(stream, 8, SEEK_SET) == 0 && std::fwrite(&count, sizeof count, 1, stream) == 1 && std::fflush(stream) == 0 &&
              fsync(fileno(stream)) == 0;
  const int error = errno;
  good = std::fclose(stream) == 0 && good;
  if (!good) throw Failure("cannot write '" + path_.string() + "': " + std::strerror(error));
}

}  // namespace starling::tasks
