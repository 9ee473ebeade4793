#include <starling/tasks/find_files.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <system_error>
#include <tuple>

#include <starling/base/error.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

/// A file that a glob matches.
struct Found {
  explicit Found(const fs::path& path) : file(fs::canonical(path)), name(fs::canonical(path.parent_path()) / path.filename()) {}

  fs::path file;  ///< what it is, behind all links
  fs::path name;  ///< what it is called: a link in a real directory, where it is one
};

class Glob {
 public:
  Glob(const std::string& pattern, const std::string& asked_by) : pattern_(pattern), asked_by_(asked_by) {
    for (const fs::path& component : fs::path(pattern).relative_path()) {
      if (!component.empty()) components_.push_back(component.string());
    }
  }

  std::vector<Found> files() {
    if (pattern_.empty()) throw UserError(asked_by_ + ": an empty string names no file");
    const fs::path root = fs::path(pattern_).root_path();
    if (components_.empty()) throw UserError(a_directory());
    // A shell that has expanded '*.txt' hands over names like 'a[1].txt' as they are.
    std::error_code error;
    if (has_wildcard(pattern_) && fs::is_regular_file(pattern_, error)) return {Found(fs::absolute(pattern_))};
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
        found_.emplace_back(path);
      } else if (fs::is_directory(status) && !has_wildcard(pattern_)) {
        throw UserError(a_directory());
      } else if (fs::exists(status) && !has_wildcard(pattern_)) {
        throw UserError(asked_by_ + ": '" + pattern_ + "' is not a regular file");
      }
    } else if (fs::is_directory(status)) {
      expand(path, at + 1);
    }
  }

  // Sorted, so that nothing depends on the order in which a file system lists.
  std::vector<fs::path> list(const fs::path& directory) const {
    std::error_code error;
    if (!fs::is_directory(directory, error)) return {};
    fs::directory_iterator entries(directory, error);
    if (error) throw UserError(asked_by_ + ": cannot list directory '" + directory.string() + "': " + error.message());
    std::vector<fs::path> paths;
    for (const fs::directory_entry& entry : entries) paths.push_back(entry.path());
    std::ranges::sort(paths);
    return paths;
  }

  std::string a_directory() const {
    return asked_by_ + ": '" + pattern_ + "' is a directory; '" + (fs::path(pattern_) / "**").string() + "' names every file below it";
  }

  // Where a directory on the way does not exist, that is the likely slip: say so.
  std::string nothing_found() const {
    const std::string message = asked_by_ + ": no file matches '" + pattern_ + "'";
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
  std::string asked_by_;
  std::vector<std::string> components_;
  std::vector<Found> found_;
};

}  // namespace

std::vector<fs::path> find_files(const std::vector<std::string>& globs, const std::string& asked_by) {
  if (globs.empty()) throw UserError(asked_by + ": expected at least one file or glob");
  std::vector<Found> found;
  for (const std::string& glob : globs) {
    std::vector<Found> of_glob = Glob(glob, asked_by).files();
    found.insert(found.end(), std::make_move_iterator(of_glob.begin()), std::make_move_iterator(of_glob.end()));
  }
  // Of several names the one that says most: with an extension, of the file itself.
  std::ranges::sort(found, {}, [](const Found& one) {
    return std::tuple<const std::string&, bool, bool, const std::string&>(one.file.native(), !one.name.has_extension(),
                                                                          one.name != one.file, one.name.native());
  });
  const auto repeated = std::ranges::unique(found, {}, &Found::file);
  found.erase(repeated.begin(), repeated.end());
  std::vector<fs::path> names;
  for (Found& one : found) names.push_back(std::move(one.name));
  return names;
}

}  // namespace starling::tasks
