#include <starling/tasks/csv.hpp>

#include <csv.h>

#include <array>
#include <cstring>
#include <deque>
#include <new>
#include <string_view>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/byte_source.hpp>

namespace starling::tasks {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

struct Row {
  std::vector<std::string> fields;
  std::int64_t line = 0;
  std::int64_t blank_lines = 0;  ///< in front of it
};

}  // namespace

struct CsvReader::Parser {
  Parser(const std::filesystem::path& file, const std::string& asked_by) : path(file), source(open_bytes(file, asked_by)) {
    // Strict: else a stray quote would swallow rows up to the next one and say nothing.
    if (csv_init(&state, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  }
  ~Parser() { csv_free(&state); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  /// The parser does not count lines, so it gets one at a time.
  bool feed() {
    if (begin == end) {
      begin = 0;
      end = source->read(buffer.data(), buffer.size());
      if (end == 0) {
        if (!finished && csv_fini(&state, on_field, on_row, this) != 0) refuse_open_quote();
        finished = true;
        return false;
      }
    }
    if (!started) skip_mark();
    const char* const from = buffer.data() + begin;
    const auto* const newline = static_cast<const char*>(std::memchr(from, '\n', end - begin));
    const std::size_t size = newline == nullptr ? end - begin : static_cast<std::size_t>(newline - from) + 1;
    blank = blank && quote_line == 0 && std::string_view(from, size).find_first_not_of(" \t\r\n") == std::string_view::npos;
    if (csv_parse(&state, from, size, on_field, on_row, this) != size) refuse_stray_quote();
    if (state.quoted != 0 && quote_line == 0) quote_line = lines + 1;
    begin += size;
    if (newline != nullptr) {
      ++lines;
      blank_lines += std::exchange(blank, true);
    }
    return true;
  }

  void skip_mark() {
    started = true;
    // A file shorter than the mark is read whole in any case: it has none.
    while (end < byte_order_mark.size()) {
      const auto more = source->read(buffer.data() + end, buffer.size() - end);
      if (more == 0) return;
      end += more;
    }
    if (std::string_view(buffer.data(), end).starts_with(byte_order_mark)) begin = byte_order_mark.size();
  }

  [[noreturn]] void refuse_open_quote() { refuse(quote_line, "a quote opens here that is not closed"); }
  [[noreturn]] void refuse_stray_quote() {
    const bool opened_before = quote_line > 0 && quote_line <= lines;
    refuse(lines + 1, "a quote stands inside a field" + (opened_before ? ", whose own opens in line " + std::to_string(quote_line) : ""));
  }
  [[noreturn]] void refuse(std::int64_t at, const std::string& what) {
    if (csv_error(&state) != CSV_EPARSE) throw std::bad_alloc();
    throw UserError(path.string() + ":" + std::to_string(at) + ": not CSV: " + what +
                    ", expected \"…\" around a whole field, and \"\" for a quote in it");
  }

  static void on_field(void* field, std::size_t size, void* self) {
    auto* const parser = static_cast<Parser*>(self);
    parser->fields.emplace_back(static_cast<const char*>(field), size);
    parser->quote_line = 0;
  }
  static void on_row(int, void* self) {
    auto* const parser = static_cast<Parser*>(self);
    parser->rows.push_back({std::exchange(parser->fields, {}), parser->lines + 1, std::exchange(parser->blank_lines, 0)});
  }

  std::filesystem::path path;
  std::unique_ptr<ByteSource> source;
  csv_parser state{};
  std::array<char, std::size_t{1} << 16> buffer{};
  std::size_t begin = 0;
  std::size_t end = 0;
  bool started = false;
  bool finished = false;
  std::int64_t lines = 0;               ///< that have been fed whole
  std::int64_t quote_line = 0;          ///< at which the quoted field began that is being read; 0 where there is none
  bool blank = true;                    ///< what has been fed of this line holds nothing
  std::int64_t blank_lines = 0;         ///< since the last row
  std::int64_t line = 0;                ///< of the row that was handed out last
  std::int64_t blank_lines_before = 0;  ///< that row
  std::vector<std::string> fields;
  std::deque<Row> rows;
};

CsvReader::CsvReader(const std::filesystem::path& path, const std::string& asked_by) : parser_(std::make_unique<Parser>(path, asked_by)) {}

CsvReader::~CsvReader() = default;

bool CsvReader::next(std::vector<std::string>& fields) {
  while (parser_->rows.empty()) {
    if (!parser_->feed() && parser_->rows.empty()) return false;
  }
  fields = std::move(parser_->rows.front().fields);
  parser_->line = parser_->rows.front().line;
  parser_->blank_lines_before = parser_->rows.front().blank_lines;
  parser_->rows.pop_front();
  return true;
}

std::int64_t CsvReader::line() const { return parser_->line; }

std::int64_t CsvReader::blank_lines() const { return parser_->blank_lines_before; }

std::string CsvReader::at_line(const std::string& what) const {
  return parser_->path.string() + ":" + std::to_string(parser_->line) + ": " + what;
}

}  // namespace starling::tasks
