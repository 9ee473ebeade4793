// The rows of a series' three parts, normalised, in memory. No Torch.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <starling/tasks/corpus.hpp>
#include <starling/tasks/options.hpp>

namespace starling::tasks {

/// What a column is normalised by: (value − mean) / deviation.
struct Scale {
  double mean = 0;
  double deviation = 1;
};

/// One file: rows of float, NaN where a value is missing, and where its parts begin and end. A row is a moment, the first is the earliest: the
/// parts follow each other in time, training, then validation, then test, as a model meets them in use.
struct Recording {
  std::vector<float> values;
  std::array<std::int64_t, 4> bounds{};  ///< rows: part p is bounds[p] … bounds[p + 1] − 1

  std::int64_t rows(Part part) const { return bounds[static_cast<std::size_t>(part) + 1] - bounds[static_cast<std::size_t>(part)]; }
};

struct SeriesData {
  std::vector<std::string> columns;
  std::vector<Scale> scales;          ///< by column
  std::vector<Recording> recordings;  ///< by file, in the order of their names
  std::int64_t missing = 0;           ///< values, in all parts

  std::size_t channels() const { return columns.size(); }
  /// Rows of a part, file by file.
  std::vector<std::int64_t> rows(Part part) const;
  /// The values of row `row` of a part, one for each column.
  const float* row(Part part, std::size_t recording, std::int64_t row) const;
};

/// Reads the files. Of the n rows of each ⌊n · test_fraction⌋ are test, ⌊n · validation_fraction⌋ before them validation. Mean and standard
/// deviation of a column are those of its values in the training parts of all files; the deviation of a constant one is 1. Throws UserError:
/// see series_columns(), ColumnFile::read(); a column without a value to train on, or with values so large that their squares have no sum.
SeriesData read_series(const SeriesOptions& options);

}  // namespace starling::tasks
