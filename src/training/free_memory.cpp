#include <starling/training/free_memory.hpp>

#include <malloc.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace starling::training {
namespace {

namespace fs = std::filesystem;
using Bytes = std::optional<std::int64_t>;

/// A whole number at the start of a text; nothing for "max".
Bytes number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? Bytes(value) : std::nullopt;
}

Bytes number_in(const fs::path& file) {
  std::ifstream stream(file);
  std::string word;
  return stream >> word ? number(word) : std::nullopt;
}

/// The number behind a name, in a file of lines "name number".
Bytes number_of(std::string_view name, const fs::path& file) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string first;
    std::string second;
    if (words >> first >> second && first == name) return number(second);
  }
  return std::nullopt;
}

void take_least(Bytes& least, Bytes other) {
  if (other && (!least || *other < *least)) least = other;
}

/// The files of one version of control groups.
struct Files {
  const char* limit;
  const char* usage;
  const char* cached;  ///< a line of memory.stat
};
constexpr Files version_1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr Files version_2{"memory.max", "memory.current", "inactive_file"};

/// What the group at `mount`/`group` and those above it leave. Inside a container the path may be that outside of it: then only the
/// mount itself is there.
Bytes left_in(const fs::path& mount, const fs::path& group, const Files& files) {
  Bytes least;
  for (fs::path path = group.relative_path();; path = path.parent_path()) {
    const fs::path folder = mount / path;
    const Bytes limit = number_in(folder / files.limit);
    const Bytes usage = number_in(folder / files.usage);
    if (limit && usage) {
      const std::int64_t cached = number_of(files.cached, folder / "memory.stat").value_or(0);
      take_least(least, std::max<std::int64_t>(0, *limit - *usage + std::min(cached, *usage)));
    }
    if (path.empty()) return least;
  }
}

}  // namespace

std::optional<std::int64_t> available_memory_bytes(const fs::path& root) {
  Bytes least;
  if (const Bytes kib = number_of("MemAvailable:", root / "proc/meminfo")) least = *kib * 1024;
  // Lines "number:controllers:path"; version 2 has number 0 and no controllers.
  std::ifstream groups(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") {
      take_least(least, left_in(mount, group, version_2));
      take_least(least, left_in(mount / "unified", group, version_2));
    } else if (controllers.find(",memory,") != std::string::npos) {
      take_least(least, left_in(mount / "memory", group, version_1));
    }
  }
  return least;
}

std::optional<std::int64_t> free_memory_bytes() {
  auto bytes = available_memory_bytes();
#if defined(__GLIBC__)
  if (bytes) *bytes += static_cast<std::int64_t>(mallinfo2().fordblks);
#endif
  return bytes;
}

}  // namespace starling::training
