#include <starling/run/hdf5.hpp>

#include <array>
#include <atomic>

namespace starling::run::h5 {
namespace {

// Cut at the first null, which a C string cannot hold.
std::string c_text(std::string_view value) { return std::string(value.substr(0, value.find('\0'))); }

void write_attribute(hid_t object, const std::string& name, hid_t type, hid_t space, const void* value) {
  const htri_t exists = H5Aexists(object, name.c_str());
  check(exists < 0 ? -1 : 0, "look up attribute " + name);
  const Handle attribute(
      exists > 0 ? H5Aopen(object, name.c_str(), H5P_DEFAULT) : H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose, "create attribute " + name);
  check(H5Awrite(attribute.get(), type, value), "write attribute " + name);
}

void write_scalar_attribute(hid_t object, const std::string& name, hid_t type, const void* value) {
  const Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, "make a scalar");
  write_attribute(object, name, type, scalar.get(), value);
}

// Reads the one string of an attribute or dataset, of fixed or variable length, by `read(memory type, buffer)`.
template <class Read>
std::string read_text(hid_t type, const std::string& name, Read&& read) {
  if (H5Tget_class(type) != H5T_STRING) throw Failure("'" + name + "' is not a string");
  if (H5Tis_variable_str(type) > 0) {
    const auto memory = text_type();
    char* text = nullptr;
    check(read(memory.get(), static_cast<void*>(&text)), "read " + name);
    std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
  }
  std::string value(H5Tget_size(type), '\0');
  check(read(type, static_cast<void*>(value.data())), "read " + name);
  return c_text(value);
}

}  // namespace

Handle file_access() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make a property list");
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V18), "set the format's version");
  return access;
}

MemoryFile::MemoryFile() {
  constexpr std::size_t growth = std::size_t{1} << 20;
  const auto access = file_access();
  check(H5Pset_fapl_core(access.get(), growth, 0), "keep a file in memory");
  // The name reaches no disk, but the library takes two open files of one name for the same file.
  static std::atomic<std::uint64_t> count{0};
  const std::string name = "starling memory file " + std::to_string(++count);
  file_ = Handle(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose, "create a file in memory");
}

std::vector<std::uint8_t> MemoryFile::image() const {
  check(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "flush a file in memory");
  const ssize_t size = H5Fget_file_image(file_.get(), nullptr, 0);
  check(size < 0 ? -1 : 0, "measure a file in memory");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  const ssize_t copied = H5Fget_file_image(file_.get(), bytes.data(), bytes.size());
  check(copied != size ? -1 : 0, "copy a file in memory");
  return bytes;
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  check(H5Tset_size(type.get(), H5T_VARIABLE), "make a string type");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a string type");
  return type;
}

Handle text_type(std::size_t width) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  check(H5Tset_size(type.get(), width), "make a string type");
  check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "make a string type");
  return type;
}

Handle create_group(hid_t parent, const std::string& name) {
  return Handle(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "create group " + name);
}

void set_attribute(hid_t object, const std::string& name, std::int64_t value) {
  write_scalar_attribute(object, name, H5T_NATIVE_INT64, &value);
}

void set_attribute(hid_t object, const std::string& name, std::uint64_t value) {
  write_scalar_attribute(object, name, H5T_NATIVE_UINT64, &value);
}

void set_attribute(hid_t object, const std::string& name, bool value) {
  const std::uint8_t byte = value ? 1 : 0;
  write_scalar_attribute(object, name, H5T_NATIVE_UINT8, &byte);
}

void set_attribute(hid_t object, const std::string& name, std::string_view value) {
  const auto text = c_text(value);
  const char* pointer = text.c_str();
  const auto type = text_type();
  write_scalar_attribute(object, name, type.get(), static_cast<const void*>(&pointer));
}

void set_fixed_attribute(hid_t object, const std::string& name, std::string_view value) {
  const auto text = c_text(value);
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  check(H5Tset_size(type.get(), text.size() + 1), "make a string type");
  write_scalar_attribute(object, name, type.get(), text.c_str());
}

void set_version_attribute(hid_t object, const std::string& name, std::int32_t major, std::int32_t minor) {
  const std::array<std::int32_t, 2> version{major, minor};
  const hsize_t two = 2;
  const Handle space(H5Screate_simple(1, &two, nullptr), H5Sclose, "make a space");
  write_attribute(object, name, H5T_NATIVE_INT32, space.get(), version.data());
}

Handle create_text_dataset(hid_t parent, const std::string& name, std::string_view value) {
  const auto text = c_text(value);
  const char* pointer = text.c_str();
  const auto type = text_type();
  const Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, "make a scalar");
  Handle dataset(H5Dcreate2(parent, name.c_str(), type.get(), scalar.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
                 "create dataset " + name);
  check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, static_cast<const void*>(&pointer)), "write dataset " + name);
  return dataset;
}

std::int64_t read_integer_attribute(hid_t object, const std::string& name) {
  const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, "open attribute " + name);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose, "read attribute " + name);
  if (H5Sget_simple_extent_npoints(space.get()) != 1) throw Failure("attribute '" + name + "' is not one number");
  std::int64_t value = 0;
  check(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), "read attribute " + name);
  return value;
}

std::string read_text_attribute(hid_t object, const std::string& name) {
  const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, "open attribute " + name);
  const Handle type(H5Aget_type(attribute.get()), H5Tclose, "read attribute " + name);
  return read_text(type.get(), name, [&](hid_t memory, void* to) { return H5Aread(attribute.get(), memory, to); });
}

std::string read_text_dataset(hid_t parent, const std::string& name) {
  const Handle dataset(H5Dopen2(parent, name.c_str(), H5P_DEFAULT), H5Dclose, "open dataset " + name);
  const Handle type(H5Dget_type(dataset.get()), H5Tclose, "read dataset " + name);
  return read_text(type.get(), name,
                   [&](hid_t memory, void* to) { return H5Dread(dataset.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to); });
}

}  // namespace starling::run::h5
