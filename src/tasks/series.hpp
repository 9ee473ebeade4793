// Series: real-valued columns of CSV or HDF5 files; the next row is predicted from the rows before it.
#pragma once

#include <memory>

#include <starling/tasks/options.hpp>
#include <starling/tasks/task.hpp>

namespace starling::tasks {

/// The files are divided and normalised as read_series() says (series_data.hpp), and a batch holds windows of sequence_length rows as
/// windows.hpp says, none across files or parts; the first row of each part of a file is context only. Loss: the mean squared error over the
/// normalised values that are there, so that 1 is what the mean reaches where the parts are alike. A missing value is 0 as input, the mean of
/// its column, and does not count as target. References, over the very same validation targets: "mean" predicts the mean of the training
/// part, "last value" the latest value of the part that is there. Throws UserError: see read_series(); no file whose training part is longer
/// than one sequence; nothing to predict in the validation part.
std::unique_ptr<const Task> make_series(const SeriesOptions& options);

}  // namespace starling::tasks
