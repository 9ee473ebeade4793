#include <starling/tasks/series.hpp>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/tasks/column_file.hpp>
#include <starling/tasks/series_data.hpp>
#include <starling/tasks/thousands.hpp>
#include <starling/tasks/windows.hpp>

namespace starling::tasks {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

class Series final : public Task {
 public:
  explicit Series(const SeriesOptions& options) : Series(options, read_series(options)) {}

  std::int64_t vocabulary() const override { return 0; }
  std::int64_t channels() const override { return static_cast<std::int64_t>(data_.channels()); }
  std::int64_t sequence_length() const override { return length_; }

  Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    Batch batch = empty_batch(sequences);
    std::int64_t sequence = 0;
    training_.batch(seed, step, sequences, [&](const Window& window) { write(Part::training, window, sequence++, batch); });
    return batch;
  }

  std::int64_t held_out_batches(Split split, std::int64_t sequences) const override {
    return (windows(split).size() + sequences - 1) / sequences;
  }

  Batch held_out_batch(Split split, std::int64_t number, std::int64_t sequences) const override {
    const std::int64_t first = number * sequences;
    const std::int64_t last = std::min(first + sequences, windows(split).size());
    Batch batch = empty_batch(last - first);
    for (std::int64_t i = first; i < last; ++i) write(part_of(split), windows(split)[i], i - first, batch);
    return batch;
  }

  std::int64_t held_out_bytes(Split) const override { return 0; }
  bool scored_by_accuracy() const override { return false; }
  std::vector<ReferenceLoss> references() const override { return references_; }

  std::string summary() const override {
    const auto files = std::ssize(data_.recordings);
    const auto total = [&](Part part) {
      std::int64_t rows = 0;
      for (const std::int64_t here : data_.rows(part)) rows += here;
      return thousands(rows);
    };
    return thousands(files) + (files == 1 ? " file, " : " files, ") + thousands(channels()) +
           (channels() == 1 ? " column (" : " columns (") + listed(data_.columns) + "); rows: " + total(Part::training) + " training, " +
           total(Part::validation) + " validation, " + total(Part::test) + " test; " + thousands(data_.missing) + " values missing";
  }

 private:
  Series(const SeriesOptions& options, SeriesData data)
      : length_(options.sequence_length),
        data_(std::move(data)),
        training_(data_.rows(Part::training), length_),
        validation_(data_.rows(Part::validation), length_, options.validation_tokens),
        test_(data_.rows(Part::test), length_, options.validation_tokens) {
    const std::int64_t longest = std::ranges::max(data_.rows(Part::training));
    if (longest < length_ + 1) {
      throw UserError("task.files: the training part of the longest file has " + thousands(longest) +
                      " rows; one sequence of task.sequence_length = " + thousands(length_) + " needs " + thousands(length_ + 1));
    }
    measure_references();
  }

  Batch empty_batch(std::int64_t sequences) const {
    const auto options = at::TensorOptions().dtype(at::kFloat);
    return {at::zeros({sequences, length_, channels()}, options), at::full({sequences, length_, channels()}, unknown, options)};
  }

  void write(Part part, const Window& window, std::int64_t sequence, Batch& batch) const {
    const auto offset = sequence * length_ * channels();
    const auto count = window.predicted() * channels();
    const float* const rows = data_.row(part, window.recording, window.begin);
    std::replace_copy_if(
        rows, rows + count, batch.inputs.data_ptr<float>() + offset, [](float value) { return std::isnan(value); }, 0.0f);
    std::copy_n(rows + channels(), count, batch.targets.data_ptr<float>() + offset);
  }

  void measure_references() {
    double mean = 0;
    double last = 0;
    std::int64_t counted = 0;
    for (std::int64_t i = 0; i < validation_.size(); ++i) {
      const Window window = validation_[i];
      auto latest = values_before(window);
      for (std::int64_t row = 1; row < window.values; ++row) {
        const float* const values = data_.row(Part::validation, window.recording, window.begin + row);
        for (std::size_t column = 0; column < latest.size(); ++column) {
          const double value = values[column];
          if (std::isnan(value)) continue;
          ++counted;
          mean += value * value;
          last += (value - latest[column]) * (value - latest[column]);
          latest[column] = value;
        }
      }
    }
    if (counted == 0) throw UserError("task.validation_fraction: no values are left to predict in the validation part (" + summary() + ")");
    const auto share = 1.0 / static_cast<double>(counted);
    references_ = {{"mean", mean * share, unknown}, {"last value", last * share, unknown}};
  }

  /// For every column the latest value up to the first row of a window; the mean, 0, where there is none yet.
  std::vector<double> values_before(const Window& window) const {
    std::vector<double> latest(data_.channels(), 0.0);
    for (std::size_t column = 0; column < latest.size(); ++column) {
      for (std::int64_t row = window.begin; row >= 0; --row) {
        const double value = data_.row(Part::validation, window.recording, row)[column];
        if (std::isnan(value)) continue;
        latest[column] = value;
        break;
      }
    }
    return latest;
  }

  static Part part_of(Split split) { return split == Split::validation ? Part::validation : Part::test; }
  const HeldOutWindows& windows(Split split) const { return split == Split::validation ? validation_ : test_; }

  std::int64_t length_;
  SeriesData data_;
  TrainingWindows training_;
  HeldOutWindows validation_;
  HeldOutWindows test_;
  std::vector<ReferenceLoss> references_;
};

}  // namespace

std::unique_ptr<const Task> make_series(const SeriesOptions& options) {
  if (options.sequence_length < 1) {
    throw UserError("task.sequence_length: expected at least 1, found " + std::to_string(options.sequence_length));
  }
  return std::make_unique<Series>(options);
}

}  // namespace starling::tasks
