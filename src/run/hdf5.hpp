// A small RAII layer over HDF5's C API. Private to this floor; only numbered functions where HDF5 has them, for 1.10 and 1.14.
//
// HDF5 must never see a write fail: after an I/O error its file handle is poisoned, and the library loops when the process ends. So it only ever
// writes to memory here (MemoryFile, and the layout of checkpoint.cpp); what goes to disk goes by write(2), whose errors are ordinary.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <starling/base/error.hpp>

namespace starling::run::h5 {

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

/// File access as every file of a run has it: readable by HDF5 1.8 and everything after.
Handle file_access();

/// A file that HDF5 keeps in memory alone (core driver). Costs its size; image() once more while the copy lives.
class MemoryFile {
 public:
  MemoryFile();
  hid_t get() const { return file_.get(); }
  /// The file as it would be on disk after closing it.
  std::vector<std::uint8_t> image() const;

 private:
  Handle file_;
};

/// Variable-length UTF-8 string, for names outside of compounds.
Handle text_type();
/// Fixed-width, null-padded UTF-8 string.
Handle text_type(std::size_t width);

Handle create_group(hid_t parent, const std::string& name);

/// A scalar attribute of `object`, replaced where it exists.
void set_attribute(hid_t object, const std::string& name, std::int64_t value);
void set_attribute(hid_t object, const std::string& name, std::uint64_t value);
void set_attribute(hid_t object, const std::string& name, bool value);  ///< as uint8
void set_attribute(hid_t object, const std::string& name, std::string_view value);
/// Fixed-width, as readers of the TABLE convention expect.
void set_fixed_attribute(hid_t object, const std::string& name, std::string_view value);
void set_version_attribute(hid_t object, const std::string& name, std::int32_t major, std::int32_t minor);

/// A scalar variable-length string dataset. Not an attribute: those are limited to 64 KB in old files.
Handle create_text_dataset(hid_t parent, const std::string& name, std::string_view value);

// Reading; all throw Failure.
std::int64_t read_integer_attribute(hid_t object, const std::string& name);
std::string read_text_attribute(hid_t object, const std::string& name);
std::string read_text_dataset(hid_t parent, const std::string& name);

}  // namespace starling::run::h5
