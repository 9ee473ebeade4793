// A file of columns of numbers: CSV, or datasets of HDF5. No Torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace starling::tasks {

/// Row-major (rows, columns); NaN where a value is missing, else finite.
struct ColumnValues {
  std::int64_t rows = 0;
  std::vector<double> values;
};

class ColumnFile {
 public:
  virtual ~ColumnFile() = default;
  /// The columns that are taken where none are asked for. Throws UserError where there are none.
  virtual std::vector<std::string> usual() const = 0;
  /// The columns that a name stands for: itself, or those of a matrix. Throws UserError where the file has none of that name, or it holds
  /// other things than numbers.
  virtual std::vector<std::string> expand(const std::string& name) const = 0;
  /// All rows of these columns, each a name that expand() gives back. Throws UserError: something that is no number, with its place.
  virtual ColumnValues read(const std::vector<std::string>& columns) const = 0;
};

/// By its name: .csv (csv_columns.cpp says how it is read), also .gz and .zst, or .h5, .hdf5 (hdf5_columns.cpp). Throws UserError for any
/// other, and where it cannot be read.
std::unique_ptr<const ColumnFile> open_columns(const std::filesystem::path& path);

/// The same for one format.
std::unique_ptr<const ColumnFile> open_csv(const std::filesystem::path& path);
std::unique_ptr<const ColumnFile> open_hdf5(const std::filesystem::path& path);

/// The columns of a series of these files: those asked for, matrices column by column, or the usual ones of the first file. Throws UserError
/// where a file lacks one, or one comes twice, or there are more than `most_columns`.
std::vector<std::string> series_columns(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& asked);
inline constexpr std::size_t most_columns = 4096;

/// "a, b, c" of names, cut after some of them.
std::string listed(const std::vector<std::string>& names);

}  // namespace starling::tasks
