// HDF5 files for the tests.
#pragma once

#include <string>
#include <vector>

#include <starling/base/hdf5.hpp>

namespace starling::tasks {

class Hdf5File {
 public:
  explicit Hdf5File(const std::string& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "create") {}

  /// A dataset of `type` in the file; groups on the way are made. More than one channel: (rows, channels).
  void add(const std::string& name, const std::vector<double>& values, const std::vector<hsize_t>& sizes, hid_t type = H5T_NATIVE_DOUBLE) {
    const h5::Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make a property list");
    h5::check(H5Pset_create_intermediate_group(links.get(), 1), "make groups");
    const h5::Handle space(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose, "make a space");
    const h5::Handle dataset(H5Dcreate2(file_.get(), name.c_str(), type, space.get(), links.get(), H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
                             "create " + name);
    if (H5Tget_class(type) == H5T_STRING) return;
    h5::check(H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write " + name);
  }

  hid_t get() const { return file_.get(); }

 private:
  h5::Handle file_;
};

}  // namespace starling::tasks
