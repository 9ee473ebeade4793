#include <starling/tasks/text_files.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

class Glob {
 public:
  explicit Glob(const std::string& pattern) : pattern_(pattern) {
    for (const fs::path& component : fs::path(pattern).relative_path()) {
      if (!component.empty()) components_.push_back(component.string());
    }
  }

  std::vector<fs::path> files() {
    if (pattern_.empty()) throw UserError("task.files: an empty string names no file");
    const fs::path root = fs::path(pattern_).root_path();
    if (components_.empty()) throw UserError(a_directory());
    expand(root.empty() ? fs::path(".") : root, 0);
    if (found_.empty()) throw UserError(nothing_found());
    return std::move(found_);
  }

 private:
  void expand(const fs::path& directory, std::size_t at) {
    const bool last = at + 1 == components_.size();
    const std::string& component = components_[at];
    if (component == "**") {
      std::set<fs::path> visited;
      expand_below(directory, at, visited);
    } else if (!has_wildcard(component)) {
      take(directory / component, at, last);
    } else {
      for (const fs::path& entry : list(directory)) {
        if (fnmatch(component.c_str(), entry.filename().c_str(), FNM_PERIOD) == 0) take(entry, at, last);
      }
    }
  }

  // `**`: the rest of the pattern in this directory and in every one below it; as the last component, every file.
  void expand_below(const fs::path& directory, std::size_t at, std::set<fs::path>& visited) {
    std::error_code error;
    if (!visited.insert(fs::canonical(directory, error)).second) return;
    const bool last = at + 1 == components_.size();
    if (!last) expand(directory, at + 1);
    for (const fs::path& entry : list(directory)) {
      if (entry.filename().native().front() == '.') continue;
      if (fs::is_directory(entry, error)) {
        expand_below(entry, at, visited);
      } else if (last) {
        take(entry, at, last);
      }
    }
  }

  void take(const fs::path& path, std::size_t at, bool last) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (last) {
      if (fs::is_regular_file(status)) {
        found_.push_back(fs::canonical(path));
      } else if (fs::is_directory(status) && !has_wildcard(pattern_)) {
        throw UserError(a_directory());
      } else if (fs::exists(status) && !has_wildcard(pattern_)) {
        throw UserError("task.files: '" + pattern_ + "' is not a regular file");
      }
    } else if (fs::is_directory(status)) {
      expand(path, at + 1);
    }
  }

  // Sorted, so that nothing depends on the order in which a file system lists.
  static std::vector<fs::path> list(const fs::path& directory) {
    std::error_code error;
    if (!fs::is_directory(directory, error)) return {};
    fs::directory_iterator entries(directory, error);
    if (error) throw UserError("task.files: cannot list directory '" + directory.string() + "': " + error.message());
    std::vector<fs::path> paths;
    for (const fs::directory_entry& entry : entries) paths.push_back(entry.path());
    std::ranges::sort(paths);
    return paths;
  }

  std::string a_directory() const {
    return "task.files: '" + pattern_ + "' is a directory; '" + (fs::path(pattern_) / "**").string() + "' names every file below it";
  }

  // Where a directory on the way does not exist, that is the likely slip: say so.
  std::string nothing_found() const {
    const std::string message = "task.files: no file matches '" + pattern_ + "'";
    fs::path path = fs::path(pattern_).root_path();
    for (const std::string& component : components_) {
      if (has_wildcard(component)) break;
      path /= component;
      std::error_code error;
      if (!fs::exists(path, error)) return message + "; '" + path.string() + "' does not exist";
    }
    return message;
  }

  std::string pattern_;
  std::vector<std::string> components_;
  std::vector<fs::path> found_;
};

std::string read_file(const fs::path& path, std::int64_t limit) {
  const auto failure = [&](int code) { return UserError("task.files: cannot read '" + path.string() + "': " + std::strerror(code)); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw failure(errno);
  std::string text(static_cast<std::size_t>(limit), '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get())) throw failure(errno);
  return text;
}

std::int64_t size_of(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) throw UserError("task.files: cannot read '" + path.string() + "': " + error.message());
  return static_cast<std::int64_t>(size);
}

std::vector<std::size_t> keyed_order(std::size_t count, std::uint64_t seed) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Stream stream(seed, Purpose::data_split);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  return order;
}

// The texts that are used, in keyed order.
std::vector<std::string> read_documents(const std::vector<fs::path>& paths, const Division& division) {
  std::vector<std::int64_t> sizes;
  for (const fs::path& path : paths) sizes.push_back(size_of(path));
  std::vector<std::size_t> order = keyed_order(paths.size(), division.seed);
  std::erase_if(order, [&](std::size_t i) { return sizes[i] == 0; });
  if (division.max_bytes > 0 && !order.empty()) {
    std::vector<std::size_t> fitting = take_fitting(order, sizes, division.max_bytes);
    if (fitting.empty()) {
      fitting.push_back(order.front());
      sizes[order.front()] = division.max_bytes;
    }
    order = std::move(fitting);
  }
  std::vector<std::string> documents;
  documents.reserve(order.size());
  std::unordered_set<std::string_view> seen;
  for (const std::size_t i : order) {
    std::string text = read_file(paths[i], sizes[i]);
    if (text.empty() || seen.contains(text)) continue;
    documents.push_back(std::move(text));
    seen.insert(documents.back());  // reserved above: the text does not move again
  }
  return documents;
}

void divide_files(std::vector<std::string> documents, const Division& division, Corpus& corpus) {
  std::vector<std::int64_t> sizes;
  for (const std::string& document : documents) sizes.push_back(static_cast<std::int64_t>(document.size()));
  const auto total = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}));
  std::vector<std::size_t> left(documents.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  std::vector<Part> part_of(documents.size(), Part::training);
  for (const auto& [part, share] : {std::pair(Part::validation, division.validation), std::pair(Part::test, division.test)}) {
    if (share <= 0) continue;
    const std::size_t still_to_serve = part == Part::validation && division.test > 0 ? 2 : 1;
    std::vector<std::size_t> taken = take_fitting(left, sizes, std::llround(share * total));
    if (taken.empty()) taken.push_back(*std::ranges::min_element(left, {}, [&](std::size_t i) { return sizes[i]; }));
    taken.resize(std::min(taken.size(), left.size() - still_to_serve));
    for (const std::size_t i : taken) part_of[i] = part;
    std::erase_if(left, [&](std::size_t i) { return part_of[i] != Part::training; });
  }
  for (std::size_t i = 0; i < documents.size(); ++i) {
    corpus.parts[static_cast<std::size_t>(part_of[i])].push_back(std::move(documents[i]));
  }
}

void cut_files(const std::vector<std::string>& documents, const Division& division, Corpus& corpus) {
  for (const std::string& document : documents) {
    const auto size = static_cast<double>(document.size());
    const auto test = static_cast<std::size_t>(std::llround(size * division.test));
    const auto validation = static_cast<std::size_t>(std::llround(size * division.validation));
    const std::size_t training = document.size() - std::min(document.size(), validation + test);
    const std::array<std::size_t, 3> lengths{training, validation, test};
    std::size_t begin = 0;
    for (std::size_t part = 0; part < lengths.size(); ++part) {
      std::string text = document.substr(begin, lengths[part]);
      begin += text.size();
      if (!text.empty()) corpus.parts[part].push_back(std::move(text));
    }
  }
}

}  // namespace

std::vector<fs::path> find_files(const std::vector<std::string>& globs) {
  if (globs.empty()) throw UserError("task.files: expected at least one file or glob");
  std::vector<fs::path> paths;
  for (const std::string& glob : globs) {
    std::vector<fs::path> found = Glob(glob).files();
    paths.insert(paths.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  std::ranges::sort(paths, {}, [](const fs::path& path) -> const std::string& { return path.native(); });
  const auto repeated = std::ranges::unique(paths);
  paths.erase(repeated.begin(), repeated.end());
  return paths;
}

std::vector<std::size_t> take_fitting(std::span<const std::size_t> order, std::span<const std::int64_t> sizes, std::int64_t budget) {
  std::vector<std::size_t> taken;
  for (const std::size_t i : order) {
    if (sizes[i] > budget) continue;
    budget -= sizes[i];
    taken.push_back(i);
  }
  return taken;
}

Corpus read_corpus(const std::vector<std::string>& globs, const Division& division) {
  const std::vector<fs::path> paths = find_files(globs);
  std::vector<std::string> documents = read_documents(paths, division);
  if (documents.empty()) throw UserError("task.files: the files are empty: there is no text to learn from");

  Corpus corpus;
  corpus.found = static_cast<std::int64_t>(paths.size());
  corpus.files = static_cast<std::int64_t>(documents.size());
  const std::size_t parts = std::size_t{1} + (division.validation > 0) + (division.test > 0);
  if (documents.size() < parts) {
    cut_files(documents, division, corpus);
  } else {
    divide_files(std::move(documents), division, corpus);
  }
  return corpus;
}

}  // namespace starling::tasks
