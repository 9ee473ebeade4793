// Files and directories that survive a crash: written under a temporary name, fsynced, renamed, directory fsynced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <starling/base/error.hpp>

namespace starling::run {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

/// A Failure that ends with the system's reason for `error` (an errno value): "cannot write 'runs/a-1/journal': No space left on device".
Failure system_failure(const std::string& what, int error);

/// Opens with O_CLOEXEC. Throws Failure.
Descriptor open_file(const std::filesystem::path& path, int flags, unsigned mode = 0666);

/// Writes all of it, whatever write(2) splits. Throws Failure; a part may be written then.
void write_all(const Descriptor& file, const void* data, std::size_t bytes, const std::filesystem::path& path);

/// Whole content of a file. Throws Failure.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path);

/// Makes the names in a directory durable. Throws Failure.
void sync_directory(const std::filesystem::path& directory);

/// A file that appears under its name only when it is whole and durable: everything goes to `path`.tmp, commit() fsyncs, renames over `path`
/// and fsyncs the directory. Without commit() the temporary file is removed and what was at `path` stays. All throw Failure.
class DurableFile {
 public:
  explicit DurableFile(std::filesystem::path path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(const void* data, std::size_t bytes) { write_all(file_, data, bytes, temporary_); }
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  Descriptor file_;
  bool committed_ = false;
};

/// A small file in one call. Throws Failure.
void write_durably(const std::filesystem::path& path, std::string_view content);

/// A new directory with mode 0700 below an existing one, its name durable. False where the name is taken. Throws Failure.
bool create_private_directory(const std::filesystem::path& path);

/// For `starling run --out DIR`: makes the directory and its parents (0700), or takes an empty one that exists. Throws UserError where it holds
/// anything or is no directory.
void create_run_directory(const std::filesystem::path& path);

/// parent/NAME-N with the first N ≥ 1 that does not exist, created here: mkdir decides, so that two runs started at once get two directories and
/// none is written over an older one. Creates `parent` where it is missing. Throws UserError where `name` cannot be part of a file name.
std::filesystem::path next_run_directory(const std::filesystem::path& parent, const std::string& name);

}  // namespace starling::run
