// Numbers and tables as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::tools {

/// 84934656 → "84,934,656".
std::string grouped(std::int64_t value);
/// With that many digits behind the point; "–" where it is not finite.
std::string fixed(double value, int digits);
/// 1234567 → "1.2 MB" (powers of 1000).
std::string byte_size(double bytes);
/// 1.2e15 → "1.2 P".
std::string si(double value);
/// 3725 → "1 h 2 min".
std::string duration(double seconds);

/// Pieces with `separator` between them, in lines of at most `width` code points where no piece is longer; each line ends in a
/// newline.
std::string joined(const std::vector<std::string>& pieces, std::string_view separator, std::size_t width);

/// Whether standard output shows colours: a terminal that is not dumb, and no NO_COLOR (https://no-color.org).
bool wants_colour();

/// Columns that are as wide as their widest cell; a cell is UTF-8, one code point one column.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::right;
  };

  explicit Table(std::vector<Column> columns);
  /// As many cells as there are columns.
  void add(std::vector<std::string> cells);
  /// A line across, before the next row.
  void rule() { rules_.push_back(rows_.size()); }
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> rules_;
};

}  // namespace starling::tools
