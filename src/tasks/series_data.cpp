#include <starling/tasks/series_data.hpp>

#include <cmath>

#include <starling/base/error.hpp>
#include <starling/tasks/column_file.hpp>
#include <starling/tasks/find_files.hpp>

namespace starling::tasks {
namespace {

std::array<std::int64_t, 4> bounds_of(std::int64_t rows, const SeriesOptions& options) {
  const auto share = [rows](double fraction) { return static_cast<std::int64_t>(std::floor(static_cast<double>(rows) * fraction)); };
  const auto test = rows - share(options.test_fraction);
  return {0, test - share(options.validation_fraction), test, rows};
}

/// Calls use(value) for every value of a column that is there to train on.
template <class Use>
void each_training_value(const std::vector<ColumnValues>& tables, const std::vector<Recording>& recordings, std::size_t column,
                         std::size_t columns, Use&& use) {
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const auto rows = static_cast<std::size_t>(recordings[i].rows(Part::training));
    for (std::size_t row = 0; row < rows; ++row) {
      const double value = tables[i].values[row * columns + column];
      if (!std::isnan(value)) use(value);
    }
  }
}

Scale scale_of(const std::vector<ColumnValues>& tables, const SeriesData& data, std::size_t column) {
  std::int64_t count = 0;
  double sum = 0;
  each_training_value(tables, data.recordings, column, data.channels(), [&](double value) {
    ++count;
    sum += value;
  });
  if (count == 0) throw UserError("task.columns: '" + data.columns[column] + "' has no value in the training part");
  Scale scale{.mean = sum / static_cast<double>(count)};
  double squares = 0;
  each_training_value(tables, data.recordings, column, data.channels(),
                      [&](double value) { squares += (value - scale.mean) * (value - scale.mean); });
  scale.deviation = std::sqrt(squares / static_cast<double>(count));
  if (!std::isfinite(scale.deviation)) {
    throw UserError("task.columns: the values of '" + data.columns[column] + "' are too large to have a standard deviation");
  }
  // The mean of equal numbers may be off by a rounding, and a deviation of that would blow up what is not constant later.
  constexpr double rounding = 1e-12;
  if (scale.deviation <= rounding * std::abs(scale.mean)) scale.deviation = 1;
  if (scale.deviation == 0) scale.deviation = 1;
  return scale;
}

}  // namespace

std::vector<std::int64_t> SeriesData::rows(Part part) const {
  std::vector<std::int64_t> rows;
  for (const Recording& recording : recordings) rows.push_back(recording.rows(part));
  return rows;
}

const float* SeriesData::row(Part part, std::size_t recording, std::int64_t row) const {
  const Recording& file = recordings[recording];
  return file.values.data() + static_cast<std::size_t>(file.bounds[static_cast<std::size_t>(part)] + row) * channels();
}

SeriesData read_series(const SeriesOptions& options) {
  const auto files = find_files(options.files);
  SeriesData data;
  data.columns = series_columns(files, options.columns);
  std::vector<ColumnValues> tables;
  for (const auto& path : files) {
    tables.push_back(open_columns(path)->read(data.columns));
    data.recordings.push_back({.values = {}, .bounds = bounds_of(tables.back().rows, options)});
  }
  for (std::size_t column = 0; column < data.channels(); ++column) data.scales.push_back(scale_of(tables, data, column));
  for (std::size_t i = 0; i < tables.size(); ++i) {
    auto& values = data.recordings[i].values;
    values.reserve(tables[i].values.size());
    for (std::size_t k = 0; k < tables[i].values.size(); ++k) {
      const double value = tables[i].values[k];
      const Scale& scale = data.scales[k % data.channels()];
      const auto normalised = static_cast<float>((value - scale.mean) / scale.deviation);
      if (std::isinf(normalised)) {
        throw UserError("task.columns: '" + data.columns[k % data.channels()] + "' has a value in '" + files[i].string() +
                        "' that is too far from those of the training part to be normalised");
      }
      if (std::isnan(value)) ++data.missing;
      values.push_back(normalised);
    }
    tables[i] = {};
  }
  return data;
}

}  // namespace starling::tasks
