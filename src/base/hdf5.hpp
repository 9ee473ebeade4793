// A small RAII layer over HDF5's C API: identifiers that are given back, errors that are exceptions. A library of its own
// (starling_hdf5), so that the rest of the base links no HDF5. It stands below the run because tasks read columns of HDF5 files and know no
// run directory; what writes HDF5 is in src/run alone.
#pragma once

#include <hdf5.h>

#include <string_view>
#include <utility>

#include <starling/base/error.hpp>

namespace starling::h5 {

/// Owns an HDF5 identifier and the function that gives it back.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  /// Throws Failure where `id` says that the call which made it failed; `what` names the call's purpose.
  Handle(hid_t id, Close close, std::string_view what);
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// Throws Failure with HDF5's own reason where `status` is negative.
void check(herr_t status, std::string_view what);

/// Keeps HDF5 from printing its error stack on stderr while it lives (on this thread): errors are exceptions here.
class QuietErrors {
 public:
  QuietErrors();
  ~QuietErrors();
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

}  // namespace starling::h5
