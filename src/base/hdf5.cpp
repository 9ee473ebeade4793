#include <starling/base/hdf5.hpp>

#include <string>

namespace starling::h5 {
namespace {

// The innermost entry of the error stack is what went wrong; the others say what it was needed for.
std::string last_reason() {
  std::string reason;
  const auto take = [](unsigned, const H5E_error2_t* entry, void* data) -> herr_t {
    *static_cast<std::string*>(data) = entry->desc == nullptr ? "" : entry->desc;
    return 1;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &reason);
  return reason.empty() ? "unknown HDF5 error" : reason;
}

}  // namespace

Handle::Handle(hid_t id, Close close, std::string_view what) : id_(id), close_(close) { check(id < 0 ? -1 : 0, what); }

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    if (id_ >= 0) close_(id_);
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
  }
  return *this;
}

Handle::~Handle() {
  if (id_ >= 0) close_(id_);
}

void check(herr_t status, std::string_view what) {
  if (status < 0) throw Failure("HDF5 cannot " + std::string(what) + ": " + last_reason());
}

QuietErrors::QuietErrors() {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietErrors::~QuietErrors() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

}  // namespace starling::h5
