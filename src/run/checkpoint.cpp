#include <starling/run/checkpoint.hpp>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/run/crc32c.hpp>
#include <starling/run/files.hpp>
#include <starling/run/hdf5.hpp>

// A checkpoint is large, the disk may be full, and HDF5 must not meet the error (hdf5.hpp). So HDF5 only lays the file out: it writes its few kB of
// metadata to an anonymous sparse file in memory and says where each array belongs. The file on disk is then written front to back
// with write(2), the arrays straight from where they lie: no copy of the weights, one pass, and the checksum on the way.

namespace starling::run {
namespace {

using h5::check;
using h5::Handle;

constexpr std::string_view format_name = "starling-checkpoint";
constexpr std::int32_t format_major = 1;
constexpr std::int32_t format_minor = 0;

std::size_t elements(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
  return count;
}

// Bytes of one array and where they belong in the file.
struct Placed {
  std::uint64_t offset = 0;
  std::span<const std::byte> bytes;
};

struct Layout {
  Descriptor metadata;  // the whole file, with holes where the arrays go
  std::uint64_t file_bytes = 0;
  std::vector<Placed> arrays;  // by offset
};

Placed place_array(hid_t group, const ArrayView& array) {
  if (array.name.empty() || array.name.find('/') != std::string::npos) {
    throw Failure("'" + array.name + "' cannot name an array of a checkpoint");
  }
  std::vector<hsize_t> extents;
  for (const auto extent : array.shape) {
    if (extent < 0) throw Failure("array '" + array.name + "' has a negative extent");
    extents.push_back(static_cast<hsize_t>(extent));
  }
  const Handle space(extents.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                     H5Sclose, "make the space of " + array.name);
  const Handle storage(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make a property list");
  check(H5Pset_layout(storage.get(), H5D_CONTIGUOUS), "set the layout");
  check(H5Pset_alloc_time(storage.get(), H5D_ALLOC_TIME_EARLY), "reserve the room of " + array.name);
  check(H5Pset_fill_time(storage.get(), H5D_FILL_TIME_NEVER), "reserve the room of " + array.name);
  check(H5Pset_attr_phase_change(storage.get(), 8, 6), "make a property list");
  const Handle dataset(H5Dcreate2(group, array.name.c_str(), H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, storage.get(), H5P_DEFAULT),
                       H5Dclose, "create " + array.name);
  const auto bytes = std::as_bytes(std::span(array.data, elements(array.shape)));
  if (bytes.empty()) return {};
  const haddr_t offset = H5Dget_offset(dataset.get());
  check(offset == HADDR_UNDEF ? -1 : 0, "reserve the room of " + array.name);
  return {offset, bytes};
}

// Ordered by creation, so that arrays are read back in the order they were given.
Handle create_ordered_group(hid_t parent, const char* name) {
  const Handle order(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, "make a property list");
  check(H5Pset_link_creation_order(order.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), "keep the order of arrays");
  return Handle(H5Gcreate2(parent, name, H5P_DEFAULT, order.get(), H5P_DEFAULT), H5Gclose, std::string("create ") + name);
}

// The anonymous file is as long as the real one: a limit on file sizes would stop HDF5.
void check_file_size_limit(const CheckpointInfo& info, std::span<const ArrayView> weights) {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  std::uint64_t bytes = (std::uint64_t{1} << 16) + 2 * (info.experiment.size() + info.genome.size());
  for (const auto& array : weights) bytes += elements(array.shape) * sizeof(float) + 1024 + 2 * array.name.size();
  if (bytes <= limit.rlim_cur) return;
  throw Failure(fmt::format("a checkpoint of {} bytes is larger than a file may be here ({} bytes: ulimit -f)", bytes, limit.rlim_cur));
}

Layout lay_out(const CheckpointInfo& info, std::span<const ArrayView> weights) {
  Layout layout;
  layout.metadata = Descriptor(::memfd_create("starling-checkpoint", MFD_CLOEXEC));
  if (!layout.metadata) throw system_failure("cannot prepare a checkpoint", errno);
  const auto path = fmt::format("/proc/self/fd/{}", layout.metadata.get());
  {
    const auto access = h5::file_access();
    // The default driver asks for the real path of what it opens, and an anonymous file has none.
    check(H5Pset_fapl_stdio(access.get()), "prepare a checkpoint");
    const Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose, "prepare a checkpoint");
    const auto root = file.get();
    h5::set_attribute(root, "format", format_name);
    h5::set_version_attribute(root, "format_version", format_major, format_minor);
    h5::set_attribute(root, "candidate_id", info.candidate_id);
    h5::set_attribute(root, "genome", std::string_view(info.genome));
    h5::set_attribute(root, "step", info.step);
    h5::create_text_dataset(root, "experiment", info.experiment);
    const auto group = create_ordered_group(root, "weights");
    for (const auto& array : weights) {
      const auto placed = place_array(group.get(), array);
      if (!placed.bytes.empty()) layout.arrays.push_back(placed);
    }
    check(H5Fflush(root, H5F_SCOPE_GLOBAL), "prepare a checkpoint");
  }
  std::sort(layout.arrays.begin(), layout.arrays.end(), [](const Placed& a, const Placed& b) { return a.offset < b.offset; });
  const off_t end = ::lseek(layout.metadata.get(), 0, SEEK_END);
  if (end < 0) throw system_failure("cannot prepare a checkpoint", errno);
  layout.file_bytes = static_cast<std::uint64_t>(end);
  return layout;
}

class ChecksummedFile {
 public:
  explicit ChecksummedFile(const std::filesystem::path& path) : file_(path) {}

  void write(std::span<const std::byte> bytes) {
    // In pieces, so that the checksum finds in the cache what write(2) has just read.
    constexpr std::size_t piece = std::size_t{1} << 20;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const auto part = bytes.subspan(at, std::min(piece, bytes.size() - at));
      file_.write(part.data(), part.size());
      crc_ = crc32c(part.data(), part.size(), crc_);
    }
    written_ += bytes.size();
  }

  void copy_until(const Descriptor& from, std::uint64_t end) {
    std::vector<std::byte> buffer(std::size_t{1} << 16);
    while (written_ < end) {
      const auto want = std::min<std::uint64_t>(buffer.size(), end - written_);
      const ssize_t got = ::pread(from.get(), buffer.data(), want, static_cast<off_t>(written_));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) throw system_failure("cannot prepare a checkpoint", got < 0 ? errno : EIO);
      write(std::span(buffer).first(static_cast<std::size_t>(got)));
    }
  }

  void commit() { file_.commit(); }
  std::uint64_t written() const { return written_; }
  std::uint32_t crc() const { return crc_; }

 private:
  DurableFile file_;
  std::uint64_t written_ = 0;
  std::uint32_t crc_ = 0;
};

LoadedArray read_array(hid_t group, const std::string& name) {
  const Handle dataset(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, "open " + name);
  const Handle space(H5Dget_space(dataset.get()), H5Sclose, "read " + name);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  check(rank < 0 ? -1 : 0, "read " + name);
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  check(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr) < 0 ? -1 : 0, "read " + name);
  // A damaged extent must not ask for memory that the file cannot fill.
  const Handle type(H5Dget_type(dataset.get()), H5Tclose, "read " + name);
  const auto points = static_cast<std::uint64_t>(H5Sget_simple_extent_npoints(space.get()));
  if (points > H5Dget_storage_size(dataset.get()) / std::max<std::size_t>(H5Tget_size(type.get()), 1)) {
    throw Failure("array '" + name + "' is larger than its data");
  }
  LoadedArray array{name, {extents.begin(), extents.end()}, std::vector<float>(points)};
  if (!array.data.empty()) {
    check(H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data()), "read " + name);
  }
  return array;
}

std::vector<std::string> names_in(hid_t group) {
  H5G_info_t info{};
  check(H5Gget_info(group, &info), "list the arrays");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto get = [&](char* to, std::size_t size) {
      return H5Lget_name_by_idx(group, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, to, size, H5P_DEFAULT);
    };
    const ssize_t length = get(nullptr, 0);
    check(length < 0 ? -1 : 0, "list the arrays");
    std::string name(static_cast<std::size_t>(length), '\0');
    get(name.data(), name.size() + 1);
    names.push_back(std::move(name));
  }
  return names;
}

CheckpointInfo read_info(hid_t file) {
  CheckpointInfo info;
  info.candidate_id = static_cast<std::uint64_t>(h5::read_integer_attribute(file, "candidate_id"));
  info.genome = h5::read_text_attribute(file, "genome");
  info.step = h5::read_integer_attribute(file, "step");
  info.experiment = h5::read_text_dataset(file, "experiment");
  return info;
}

LoadedCheckpoint read_all(hid_t file) {
  LoadedCheckpoint checkpoint;
  checkpoint.info = read_info(file);
  const Handle group(H5Gopen2(file, "weights", H5P_DEFAULT), H5Gclose, "open weights");
  for (const auto& name : names_in(group.get())) checkpoint.weights.push_back(read_array(group.get(), name));
  return checkpoint;
}

bool is_checkpoint(hid_t file) {
  if (H5Aexists(file, "format") <= 0) return false;
  return h5::read_text_attribute(file, "format") == format_name;
}

/// Opens a checkpoint and hands it to `read`.
template <class Read>
auto with_checkpoint(const std::filesystem::path& path, const Read& read) {
  const h5::QuietErrors quiet;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw UserError(path.string() + ": no such file");
  if (H5Fis_hdf5(path.c_str()) <= 0) throw UserError(path.string() + ": not a checkpoint (no HDF5 file)");
  const auto access = h5::file_access();
  try {
    const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose, "open it");
    if (!is_checkpoint(file.get())) throw UserError(path.string() + ": not a checkpoint of Starling");
    return read(file.get());
  } catch (const Failure& damage) {
    throw Failure(path.string() + ": damaged: " + damage.what());
  }
}

}  // namespace

CheckpointFile write_checkpoint(const std::filesystem::path& run_directory, const CheckpointInfo& info,
                                std::span<const ArrayView> weights) {
  const h5::QuietErrors quiet;
  check_file_size_limit(info, weights);
  const auto layout = lay_out(info, weights);
  create_private_directory(run_directory / "checkpoints");
  const auto of_retraining = info.asked_tokens > 0 ? fmt::format("-{}", info.asked_tokens) : std::string();
  const auto relative = fmt::format("checkpoints/{:08}{}.h5", info.candidate_id, of_retraining);
  ChecksummedFile file(run_directory / relative);
  for (const auto& array : layout.arrays) {
    file.copy_until(layout.metadata, array.offset);
    file.write(array.bytes);
  }
  file.copy_until(layout.metadata, layout.file_bytes);
  file.commit();
  return {relative, file.written(), file.crc()};
}

CheckpointInfo read_checkpoint_info(const std::filesystem::path& path) { return with_checkpoint(path, read_info); }

LoadedCheckpoint read_checkpoint(const std::filesystem::path& path) { return with_checkpoint(path, read_all); }

}  // namespace starling::run
