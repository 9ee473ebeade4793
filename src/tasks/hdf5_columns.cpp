// Columns of HDF5: a dataset of integers or floating-point numbers, by its path in the file. One with two dimensions is rows × channels: the
// name stands for all of its channels, "x[3]" for one. NaN is a missing value.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include <starling/base/error.hpp>
#include <starling/base/hdf5.hpp>
#include <starling/tasks/column_file.hpp>
#include <starling/tasks/thousands.hpp>

namespace starling::tasks {
namespace {

using h5::check;
using h5::Handle;

struct Dataset {
  Handle handle;
  std::vector<hsize_t> sizes;
  bool numbers = false;

  bool usable() const { return numbers && (sizes.size() == 1 || sizes.size() == 2); }
  std::int64_t rows() const { return static_cast<std::int64_t>(sizes[0]); }
  std::int64_t channels() const { return sizes.size() == 1 ? 1 : static_cast<std::int64_t>(sizes[1]); }
};

/// A column: a dataset and one of its channels.
struct Source {
  std::string dataset;
  std::int64_t channel = 0;
};

std::string channel_name(const std::string& dataset, std::int64_t channel) { return dataset + "[" + std::to_string(channel) + "]"; }

/// "x" and 3 of "x[3]".
std::optional<Source> split_channel(const std::string& name) {
  const auto open = name.rfind('[');
  if (open == std::string::npos || !name.ends_with(']')) return {};
  Source source{name.substr(0, open)};
  const char* const end = name.data() + name.size() - 1;
  const auto [stop, error] = std::from_chars(name.data() + open + 1, end, source.channel);
  if (error != std::errc() || stop != end || source.channel < 0) return {};
  return source;
}

class Hdf5Columns final : public ColumnFile {
 public:
  explicit Hdf5Columns(const std::filesystem::path& path) : path_(path) {
    told([&] { file_ = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open the file"); });
  }

  std::vector<std::string> usual() const override {
    return told([&]() -> std::vector<std::string> {
      throw UserError("task.columns: which datasets of '" + path_.string() + "' are the series? " + it_has());
    });
  }

  std::vector<std::string> expand(const std::string& name) const override {
    return told([&]() -> std::vector<std::string> {
      if (const auto dataset = open(name)) {
        require_usable(*dataset, name);
        if (dataset->sizes.size() == 1) return {name};
        std::vector<std::string> columns;
        for (std::int64_t i = 0; i < dataset->channels(); ++i) columns.push_back(channel_name(name, i));
        return columns;
      }
      source_of(name);
      return {name};
    });
  }

  ColumnValues read(const std::vector<std::string>& columns) const override {
    return told([&] { return read_all(columns); });
  }

 private:
  /// HDF5's own errors are about this file.
  template <class Work>
  std::invoke_result_t<Work> told(Work&& work) const {
    const h5::QuietErrors quiet;
    try {
      return work();
    } catch (const Failure& failure) {
      throw UserError("task.files: '" + path_.string() + "': " + failure.what());
    }
  }

  /// Nothing where no dataset has the name.
  std::optional<Dataset> open(const std::string& name) const {
    const hid_t id = H5Oopen(file_.get(), name.c_str(), H5P_DEFAULT);
    if (id < 0) return {};
    Dataset dataset{.handle = Handle(id, H5Oclose, "open " + name), .sizes = {}};
    if (H5Iget_type(id) != H5I_DATASET) return {};
    const Handle type(H5Dget_type(id), H5Tclose, "read the type of " + name);
    const auto type_class = H5Tget_class(type.get());
    dataset.numbers = type_class == H5T_INTEGER || type_class == H5T_FLOAT;
    const Handle space(H5Dget_space(id), H5Sclose, "read the sizes of " + name);
    const int rank = H5Sget_simple_extent_ndims(space.get());
    check(rank, "read the sizes of " + name);
    dataset.sizes.resize(static_cast<std::size_t>(rank));
    if (rank > 0) check(H5Sget_simple_extent_dims(space.get(), dataset.sizes.data(), nullptr), "read the sizes of " + name);
    return dataset;
  }

  void require_usable(const Dataset& dataset, const std::string& name) const {
    if (dataset.usable()) return;
    const auto what = dataset.numbers ? "has " + std::to_string(dataset.sizes.size()) + " dimensions" : std::string("holds no numbers");
    throw UserError("task.columns: the dataset '" + name + "' of '" + path_.string() + "' " + what +
                    ", expected numbers in one dimension or in two (rows × channels)");
  }

  Source source_of(const std::string& name) const {
    if (const auto dataset = open(name); dataset && dataset->sizes.size() == 1) {
      require_usable(*dataset, name);
      return {name, 0};
    }
    if (const auto split = split_channel(name)) {
      if (const auto dataset = open(split->dataset)) {
        require_usable(*dataset, split->dataset);
        if (dataset->sizes.size() == 2 && split->channel < dataset->channels()) return *split;
        throw UserError("task.columns: '" + path_.string() + "' has no column '" + name + "': the dataset '" + split->dataset + "' has " +
                        (dataset->sizes.size() == 1 ? "one dimension" : thousands(dataset->channels()) + " channels, counted from 0"));
      }
    }
    std::vector<std::string> known;
    for (const auto& [other, text] : datasets()) known.push_back(other);
    throw UserError("task.columns: '" + path_.string() + "' has no dataset '" + name + "'" + did_you_mean(name, known) + ". " + it_has());
  }

  std::string it_has() const {
    std::vector<std::string> texts;
    for (const auto& [name, text] : datasets()) texts.push_back(text);
    return texts.empty() ? "It has no dataset of numbers in one or two dimensions" : "It has " + listed(texts);
  }

  /// The datasets that can be columns: name, and name with sizes.
  std::map<std::string, std::string> datasets() const {
    std::map<std::string, std::string> found;
    int visited = 0;
    collect(file_.get(), "", 0, visited, found);
    return found;
  }

  void collect(hid_t group, const std::string& prefix, int depth, int& visited, std::map<std::string, std::string>& found) const {
    // Hard links may run in circles.
    constexpr int deepest = 32;
    constexpr int most = 10'000;
    H5G_info_t info{};
    if (depth > deepest || H5Gget_info(group, &info) < 0) return;
    for (hsize_t i = 0; i < info.nlinks && visited < most; ++i, ++visited) {
      std::string name(static_cast<std::size_t>(
                           std::max<ssize_t>(0, H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT))),
                       '\0');
      H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size() + 1, H5P_DEFAULT);
      const auto path = prefix + name;
      if (const auto dataset = open(path)) {
        if (!dataset->usable()) continue;
        found[path] = path + " (" + thousands(dataset->rows()) +
                      (dataset->sizes.size() == 2 ? " × " + thousands(dataset->channels()) : " rows") + ")";
        continue;
      }
      const hid_t id = H5Oopen(group, name.c_str(), H5P_DEFAULT);
      if (id < 0) continue;  // a link that leads nowhere
      const Handle object(id, H5Oclose, "open " + path);
      if (H5Iget_type(id) == H5I_GROUP) collect(id, path + "/", depth + 1, visited, found);
    }
  }

  ColumnValues read_all(const std::vector<std::string>& columns) const {
    struct Target {
      std::int64_t channel = 0;
      std::size_t column = 0;
    };
    std::map<std::string, std::vector<Target>> wanted;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto source = source_of(columns[i]);
      wanted[source.dataset].push_back({source.channel, i});
    }
    ColumnValues result;
    const std::string* first = nullptr;
    for (const auto& [name, targets] : wanted) {
      const auto dataset = open(name);
      if (first == nullptr) {
        first = &name;
        result.rows = dataset->rows();
        result.values.resize(static_cast<std::size_t>(result.rows) * columns.size());
      }
      if (dataset->rows() != result.rows) {
        throw UserError("task.columns: in '" + path_.string() + "' the dataset '" + name + "' has " + thousands(dataset->rows()) +
                        " rows, but '" + *first + "' has " + thousands(result.rows));
      }
      each_block(*dataset, name, [&](std::int64_t row, const double* values) {
        for (const auto& [channel, column] : targets) {
          const double value = values[channel];
          if (std::isinf(value)) {
            throw UserError("task.columns: in '" + path_.string() + "' the dataset '" + name + "' holds an infinity in row " +
                            thousands(row) + " (counted from 0), expected finite numbers, or NaN where one is missing");
          }
          result.values[static_cast<std::size_t>(row) * columns.size() + column] = value;
        }
      });
    }
    return result;
  }

  /// Calls use(row, values of all channels) for every row.
  template <class Use>
  void each_block(const Dataset& dataset, const std::string& name, Use&& use) const {
    constexpr std::int64_t block_values = 1 << 20;
    const auto channels = dataset.channels();
    const auto rows =
        std::clamp<std::int64_t>(block_values / std::max<std::int64_t>(1, channels), 1, std::max<std::int64_t>(1, dataset.rows()));
    std::vector<double> buffer(static_cast<std::size_t>(rows * channels));
    const Handle file_space(H5Dget_space(dataset.handle.get()), H5Sclose, "read " + name);
    for (std::int64_t begin = 0; begin < dataset.rows(); begin += rows) {
      const auto here = std::min(rows, dataset.rows() - begin);
      const hsize_t start[] = {static_cast<hsize_t>(begin), 0};
      const hsize_t count[] = {static_cast<hsize_t>(here), static_cast<hsize_t>(channels)};
      check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start, nullptr, count, nullptr), "read " + name);
      const Handle memory(H5Screate_simple(static_cast<int>(dataset.sizes.size()), count, nullptr), H5Sclose, "read " + name);
      check(H5Dread(dataset.handle.get(), H5T_NATIVE_DOUBLE, memory.get(), file_space.get(), H5P_DEFAULT, buffer.data()), "read " + name);
      for (std::int64_t i = 0; i < here; ++i) use(begin + i, buffer.data() + i * channels);
    }
  }

  std::filesystem::path path_;
  Handle file_;
};

}  // namespace

std::unique_ptr<const ColumnFile> open_hdf5(const std::filesystem::path& path) { return std::make_unique<Hdf5Columns>(path); }

}  // namespace starling::tasks
