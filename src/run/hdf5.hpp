// What a run writes with HDF5 and reads back. Private to this floor; only numbered functions where HDF5 has them, for 1.10 and 1.14.
//
// HDF5 must never see a write fail: after an I/O error its file handle is poisoned, and the library loops when the process ends. So it only ever
// writes to memory here (MemoryFile, and the layout of checkpoint.cpp); what goes to disk goes by write(2), whose errors are ordinary.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <starling/base/hdf5.hpp>

namespace starling::run::h5 {

using starling::h5::check;
using starling::h5::Handle;
using starling::h5::QuietErrors;

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
