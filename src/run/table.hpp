// Tables of run.h5: one-dimensional compound datasets with flat scalar columns that grow, after the TABLE convention of HDF5's high-level library and
// PyTables. Private to this floor.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <starling/run/hdf5.hpp>

namespace starling::run::h5 {

enum class Kind : std::uint8_t { int32, int64, uint32, uint64, float64, text, enumeration };

struct Column {
  std::string name;
  Kind kind = Kind::int64;
  std::size_t width = 0;            ///< bytes of a text column; longer text is cut between two characters
  std::vector<std::string> labels;  ///< of an enumeration, stored as uint8 from 0
};

/// What a column takes: integers for integer kinds and enumerations, double for float64, text for text.
using Value = std::variant<std::int64_t, std::uint64_t, double, std::string_view>;

class Table {
 public:
  enum class Rows : std::uint8_t {
    final,      ///< forgotten once they are written
    changeable  ///< kept in memory, so that set() can change them
  };

  Table(std::string name, std::string title, std::vector<Column> columns, Rows rows = Rows::final);

  /// Adds one row, a value per column in order. Returns its number.
  std::size_t add(std::span<const Value> values);
  std::size_t add(std::initializer_list<Value> values) { return add(std::span<const Value>(values.begin(), values.size())); }
  /// Adds rows that lie in memory as the columns say, packed.
  void add_packed(const void* rows, std::size_t count);
  /// Changes one value of a row of a changeable table.
  void set(std::size_t row, std::string_view column, const Value& value);

  std::size_t size() const { return rows_; }
  std::size_t row_bytes() const { return row_bytes_; }

  /// Creates the dataset on the first call; appends the rows that are new, rewrites those that changed. Throws Failure.
  void write(hid_t file);

 private:
  struct Field {
    Column column;
    std::size_t offset = 0;
    std::size_t bytes = 0;
  };

  void create(hid_t file);
  void write_rows(std::size_t first, std::size_t count, const void* from);
  static void store(const Field& field, std::uint8_t* row, const Value& value);

  std::string name_;
  std::string title_;
  std::vector<Field> fields_;
  std::size_t row_bytes_ = 0;
  Rows kind_;

  std::vector<std::uint8_t> bytes_;  ///< of the rows from kept_from_ on
  std::size_t kept_from_ = 0;
  std::size_t rows_ = 0;
  std::size_t written_ = 0;
  std::set<std::size_t> changed_;  ///< rows below written_
  Handle type_;
  Handle dataset_;
};

/// Chunked, shuffled, gzip 1: how every array of run.h5 that grows is stored.
Handle growing_storage(std::span<const hsize_t> chunk);

}  // namespace starling::run::h5
