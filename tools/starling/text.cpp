#include "text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>

namespace starling::tools {
namespace {

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// A line across stays within a narrow terminal, even where a long last column does not.
constexpr std::size_t widest_rule = 80;

std::string scaled(double value, const char* unit) {
  static constexpr const char* prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  std::size_t step = 0;
  while (std::abs(value) >= 999.95 && step + 1 < std::size(prefixes)) {
    value /= 1000;
    ++step;
  }
  return fmt::format("{:.{}f} {}{}", value, step == 0 ? 0 : 1, prefixes[step], unit);
}

}  // namespace

std::string grouped(std::int64_t value) {
  auto digits = fmt::format("{}", value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string fixed(double value, int digits) { return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "–"; }

std::string byte_size(double bytes) { return scaled(bytes, "B"); }

std::string si(double value) { return scaled(value, ""); }

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "–";
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto minutes = static_cast<std::int64_t>(seconds / 60);
  if (minutes < 60) return fmt::format("{} min {} s", minutes, static_cast<std::int64_t>(seconds) % 60);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string joined(const std::vector<std::string>& pieces, std::string_view separator, std::size_t width) {
  std::string text;
  std::size_t column = 0;
  for (const auto& piece : pieces) {
    const auto needed = code_points(separator) + code_points(piece);
    if (column > 0 && column + needed > width) {
      text += "\n";
      column = 0;
    }
    if (column > 0) text += separator;
    column += column > 0 ? needed : code_points(piece);
    text += piece;
  }
  return text + "\n";
}

bool wants_colour() {
  const auto* const none = std::getenv("NO_COLOR");
  const auto* const terminal = std::getenv("TERM");
  return (none == nullptr || *none == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb" && isatty(STDOUT_FILENO) == 1;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(code_points(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], code_points(row[i]));
  }
  std::string text;
  const auto line = [&](auto&& cell) {
    std::string made;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& content = cell(i);
      const std::string space(widths[i] - code_points(content), ' ');
      if (i > 0) made += "  ";
      made += columns_[i].align == Align::left ? content + space : space + content;
    }
    made.erase(made.find_last_not_of(' ') + 1);
    text += made + "\n";
  };
  std::size_t total = 2 * (columns_.size() - 1);
  for (const auto width : widths) total += width;
  std::string across;
  for (std::size_t i = 0; i < std::min(total, widest_rule); ++i) across += "─";

  line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  text += across + "\n";
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    if (r > 0 && std::ranges::find(rules_, r) != rules_.end()) text += across + "\n";
    line([&](std::size_t i) -> const std::string& { return rows_[r][i]; });
  }
  return text;
}

}  // namespace starling::tools
