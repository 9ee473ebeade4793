// Columns of CSV. The first row names them, unless it holds numbers alone: then they are "1", "2", …. Where none are asked for, those with a
// name are taken whose first value that is there is a number: no dates, no labels, and not the nameless row numbers that pandas writes. A
// field that is empty, NaN (whatever its sign), NA or null, in any case of letters, is a missing value. So is a line that holds nothing
// where there is but one column, unless no value follows.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>

#include <starling/base/error.hpp>
#include <starling/tasks/column_file.hpp>
#include <starling/tasks/csv.hpp>

namespace starling::tasks {
namespace {

constexpr const char* asked_by = "task.files";

bool is_missing(std::string_view field) {
  const auto is = [&](std::string_view word) {
    return std::ranges::equal(field, word, [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  };
  // What C writes of 0.0 / 0.0 has the sign that the machine gives it.
  for (const auto* const word : {"", "na", "null", "nan", "-nan", "+nan", "nan(ind)", "-nan(ind)"}) {
    if (is(word)) return true;
  }
  return false;
}

/// A finite number, NaN for a missing one, nothing for anything else.
std::optional<double> number_in(std::string_view field) {
  if (is_missing(field)) return std::numeric_limits<double>::quiet_NaN();
  if (field.front() == '+' && !field.starts_with("+-")) field.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (end != field.data() + field.size() || error == std::errc::invalid_argument) return {};
  // Too large or too small for a double; the latter is as good as 0.
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(field).c_str(), nullptr);
  if (!std::isfinite(value)) return {};
  return value;
}

bool holds_numbers_alone(const std::vector<std::string>& fields) {
  bool any = false;
  for (const auto& field : fields) {
    const auto number = number_in(field);
    if (!number) return false;
    any |= !std::isnan(*number);
  }
  return any;
}

std::string clipped(const std::string& text) {
  constexpr std::size_t shown = 40;
  return text.size() <= shown ? text : text.substr(0, shown) + "…";
}

class CsvColumns final : public ColumnFile {
 public:
  explicit CsvColumns(const std::filesystem::path& path) : path_(path) {
    CsvReader reader(path, asked_by);
    if (!reader.next(names_)) throw UserError("task.files: '" + path.string() + "' has no rows");
    has_header_ = !holds_numbers_alone(names_);
    for (std::size_t i = 0; !has_header_ && i < names_.size(); ++i) names_[i] = std::to_string(i + 1);
  }

  std::vector<std::string> usual() const override {
    enum class Kind { unknown, number, other };
    std::vector<Kind> kinds(names_.size(), Kind::unknown);
    each_row([&](const CsvReader&, const std::vector<std::string>& fields) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (kinds[i] != Kind::unknown || is_missing(fields[i])) continue;
        kinds[i] = number_in(fields[i]) ? Kind::number : Kind::other;
      }
      return std::ranges::find(kinds, Kind::unknown) != kinds.end();
    });
    std::vector<std::string> columns;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (kinds[i] == Kind::number && !names_[i].empty()) columns.push_back(names_[i]);
    }
    if (columns.empty()) {
      throw UserError("task.columns: no column of '" + path_.string() + "' begins with a number; it has " + listed(names_) +
                      " (separated by commas)");
    }
    return columns;
  }

  std::vector<std::string> expand(const std::string& name) const override {
    index_of(name);
    return {name};
  }

  ColumnValues read(const std::vector<std::string>& columns) const override {
    std::vector<std::size_t> places;
    for (const auto& column : columns) places.push_back(index_of(column));
    ColumnValues result;
    each_row([&](const CsvReader& reader, const std::vector<std::string>& fields) {
      ++result.rows;
      for (const auto place : places) {
        const auto value = number_in(fields[place]);
        if (!value) {
          throw UserError(reader.at_line("column '" + names_[place] + "' holds '" + clipped(fields[place]) +
                                         "', expected a finite number, or nothing, NaN, NA or null where it is missing"));
        }
        result.values.push_back(*value);
      }
      return true;
    });
    return result;
  }

 private:
  std::size_t index_of(const std::string& name) const {
    const auto found = std::ranges::find(names_, name);
    if (found == names_.end() || name.empty()) {
      throw UserError("task.columns: '" + path_.string() + "' has no column '" + name + "'" + did_you_mean(name, names_) + "; it has " +
                      listed(names_));
    }
    if (std::find(found + 1, names_.end(), name) != names_.end()) {
      throw UserError("task.columns: '" + path_.string() + "' has several columns '" + name + "'");
    }
    return static_cast<std::size_t>(found - names_.begin());
  }

  /// Calls use(reader, fields) for the rows behind the header until it returns false.
  template <class Use>
  void each_row(Use&& use) const {
    CsvReader reader(path_, asked_by);
    std::vector<std::string> fields;
    if (has_header_) reader.next(fields);
    const std::vector<std::string> missing(1);
    while (reader.next(fields)) {
      for (std::int64_t i = 0; names_.size() == 1 && i < reader.blank_lines(); ++i) {
        if (!use(reader, missing)) return;
      }
      if (fields.size() != names_.size()) {
        throw UserError(reader.at_line("found " + std::to_string(fields.size()) + " fields, expected " + std::to_string(names_.size()) +
                                       " as in the first row"));
      }
      if (!use(reader, fields)) return;
    }
  }

  std::filesystem::path path_;
  std::vector<std::string> names_;
  bool has_header_ = false;
};

}  // namespace

std::unique_ptr<const ColumnFile> open_csv(const std::filesystem::path& path) { return std::make_unique<CsvColumns>(path); }

}  // namespace starling::tasks
