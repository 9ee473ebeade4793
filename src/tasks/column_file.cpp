#include <starling/tasks/column_file.hpp>

#include <algorithm>
#include <set>

#include <starling/base/error.hpp>
#include <starling/tasks/byte_source.hpp>

namespace starling::tasks {

std::unique_ptr<const ColumnFile> open_columns(const std::filesystem::path& path) {
  if (extension_of(uncompressed_name(path)) == ".csv") return open_csv(path);
  if (extension_of(path) == ".h5" || extension_of(path) == ".hdf5") return open_hdf5(path);
  throw UserError("task.files: '" + path.string() +
                  "' is no file of a series, expected a name that ends in .csv, .csv.gz, .csv.zst, .h5 or .hdf5");
}

std::vector<std::string> series_columns(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& asked) {
  std::vector<std::string> names = asked;
  std::vector<std::string> columns;
  for (const auto& path : files) {
    const auto file = open_columns(path);
    if (names.empty()) names = file->usual();
    std::vector<std::string> here;
    for (const auto& name : names) {
      const auto expanded = file->expand(name);
      here.insert(here.end(), expanded.begin(), expanded.end());
    }
    if (columns.empty()) columns = here;
    if (here == columns) continue;
    throw UserError("task.columns: '" + path.string() + "' has the columns " + listed(here) + ", but '" + files.front().string() +
                    "' has " + listed(columns));
  }
  if (columns.empty()) throw UserError("task.columns: '" + files.front().string() + "' has no channel in " + listed(names));
  if (columns.size() > most_columns) {
    throw UserError("task.columns: there are " + std::to_string(columns.size()) + ", expected at most " + std::to_string(most_columns));
  }
  std::set<std::string> seen;
  for (const auto& column : columns) {
    if (!seen.insert(column).second) throw UserError("task.columns: '" + column + "' is there twice");
  }
  return columns;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, names.size()); ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

}  // namespace starling::tasks
