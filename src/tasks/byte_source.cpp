#include <starling/tasks/byte_source.hpp>

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include <starling/base/error.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

/// A file that is read with errors that name it.
class File {
 public:
  File(const fs::path& path, const std::string& asked_by) : path_(path), asked_by_(asked_by), file_(std::fopen(path.c_str(), "rb")) {
    if (!file_) throw unreadable(errno);
  }

  std::size_t read(char* out, std::size_t size) {
    const std::size_t got = std::fread(out, 1, size, file_.get());
    if (got < size && std::ferror(file_.get())) throw unreadable(errno);
    return got;
  }

  UserError damaged(const std::string& what) const { return UserError(asked_by_ + ": '" + path_.string() + "' " + what); }

 private:
  UserError unreadable(int code) const { return UserError(asked_by_ + ": cannot read '" + path_.string() + "': " + std::strerror(code)); }

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  fs::path path_;
  std::string asked_by_;
  std::unique_ptr<std::FILE, Close> file_;
};

constexpr std::size_t compressed_block = std::size_t{1} << 16;

class PlainBytes final : public ByteSource {
 public:
  explicit PlainBytes(File file) : file_(std::move(file)) {}

  std::size_t read(char* out, std::size_t size) override {
    const std::size_t got = file_.read(out, size);
    if (!std::exchange(begun_, true)) refuse_compressed({out, got});
    return got;
  }

 private:
  /// Compressed bytes are no text, whatever the name says.
  void refuse_compressed(std::string_view begin) const {
    const auto holds = [&](std::size_t at, std::string_view magic) { return begin.size() >= at && begin.substr(at).starts_with(magic); };
    std::string format;
    if (holds(0, "\x1f\x8b\x08")) format = "gzip";
    if (holds(0, "\x28\xb5\x2f\xfd")) format = "Zstandard";
    if (holds(0, "\xfd\x37\x7a\x58\x5a")) format = "xz";
    if (holds(0, "BZh") && holds(4, "1AY&SY")) format = "bzip2";
    if (format.empty()) return;
    throw file_.damaged("holds " + format +
                        " data, expected none in a file of this name: names that end in .gz are read as gzip, in .zst as Zstandard, and no "
                        "other compression is read");
  }

  File file_;
  bool begun_ = false;
};

class GzipBytes final : public ByteSource {
 public:
  explicit GzipBytes(File file) : file_(std::move(file)), input_(compressed_block) {
    constexpr int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~GzipBytes() override { inflateEnd(&stream_); }

  std::size_t read(char* out, std::size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(size, 1u << 30));
    const auto asked = stream_.avail_out;
    while (stream_.avail_out == asked) {
      if (stream_.avail_in == 0) {
        stream_.avail_in = static_cast<uInt>(file_.read(input_.data(), input_.size()));
        stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
        if (stream_.avail_in == 0) {
          if (between_members_ && anything_) break;
          throw file_.damaged(anything_ ? "ends in the middle of its gzip data" : "is empty, expected gzip data");
        }
        anything_ = true;
      }
      // Behind the last member only the zeros are legal with which tapes fill their blocks.
      if (between_members_ && members_ > 0) {
        if (*stream_.next_in == 0) {
          --stream_.avail_in;
          ++stream_.next_in;
          continue;
        }
        inflateReset(&stream_);
      }
      between_members_ = false;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        between_members_ = true;
        ++members_;
      } else if (code == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        throw file_.damaged(std::string("is no sound gzip file: ") + (stream_.msg != nullptr ? stream_.msg : "damaged data"));
      }
    }
    return asked - stream_.avail_out;
  }

 private:
  File file_;
  std::vector<char> input_;
  z_stream stream_{};
  bool anything_ = false;
  bool between_members_ = true;
  int members_ = 0;
};

class ZstandardBytes final : public ByteSource {
 public:
  explicit ZstandardBytes(File file) : file_(std::move(file)), buffer_(compressed_block), stream_(ZSTD_createDStream()) {
    if (!stream_) throw std::bad_alloc();
    // Large corpora are often compressed with --long=31, whose window of 2 GiB has to be allowed by name.
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
  }

  std::size_t read(char* out, std::size_t size) override {
    ZSTD_outBuffer output{out, size, 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size && !more_inside_) {
        input_ = {buffer_.data(), file_.read(buffer_.data(), buffer_.size()), 0};
        if (input_.size == 0) {
          if (anything_ && rest_ == 0) break;
          throw file_.damaged(anything_ ? "ends in the middle of its Zstandard data" : "is empty, expected Zstandard data");
        }
        anything_ = true;
      }
      rest_ = ZSTD_decompressStream(stream_.get(), &output, &input_);
      if (ZSTD_isError(rest_) != 0) {
        throw file_.damaged(std::string("is no sound Zstandard file: ") + ZSTD_getErrorName(rest_));
      }
      // A full output may leave decompressed bytes behind, for which no further input is needed.
      more_inside_ = output.pos == output.size && rest_ != 0;
    }
    return output.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  File file_;
  std::vector<char> buffer_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  ZSTD_inBuffer input_{};
  std::size_t rest_ = 0;  ///< 0 between frames
  bool anything_ = false;
  bool more_inside_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const fs::path& path, const std::string& asked_by) {
  File file(path, asked_by);
  if (extension_of(path) == ".gz") return std::make_unique<GzipBytes>(std::move(file));
  if (extension_of(path) == ".zst") return std::make_unique<ZstandardBytes>(std::move(file));
  return std::make_unique<PlainBytes>(std::move(file));
}

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_compressed(const fs::path& path) { return extension_of(path) == ".gz" || extension_of(path) == ".zst"; }

fs::path uncompressed_name(const fs::path& path) { return is_compressed(path) ? fs::path(path).replace_extension() : path; }

}  // namespace starling::tasks
