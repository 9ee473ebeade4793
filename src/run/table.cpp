#include <starling/run/table.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace starling::run::h5 {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 17;

std::size_t bytes_of(const Column& column) {
  switch (column.kind) {
    case Kind::int32:
    case Kind::uint32:
      return 4;
    case Kind::int64:
    case Kind::uint64:
    case Kind::float64:
      return 8;
    case Kind::text:
      return column.width;
    case Kind::enumeration:
      return 1;
  }
  return 0;
}

Handle copy_of(hid_t type) { return Handle(H5Tcopy(type), H5Tclose, "copy a type"); }

Handle type_of(const Column& column) {
  switch (column.kind) {
    case Kind::int32:
      return copy_of(H5T_STD_I32LE);
    case Kind::uint32:
      return copy_of(H5T_STD_U32LE);
    case Kind::int64:
      return copy_of(H5T_STD_I64LE);
    case Kind::uint64:
      return copy_of(H5T_STD_U64LE);
    case Kind::float64:
      return copy_of(H5T_IEEE_F64LE);
    case Kind::text:
      return text_type(column.width);
    case Kind::enumeration:
      break;
  }
  Handle type(H5Tenum_create(H5T_STD_U8LE), H5Tclose, "make an enumeration");
  for (std::size_t i = 0; i < column.labels.size(); ++i) {
    const auto code = static_cast<std::uint8_t>(i);
    check(H5Tenum_insert(type.get(), column.labels[i].c_str(), &code), "make an enumeration");
  }
  return type;
}

// At most `width` bytes of UTF-8, cut before a character that does not fit.
std::string_view fitting(std::string_view text, std::size_t width) {
  if (text.size() <= width) return text;
  while (width > 0 && (static_cast<unsigned char>(text[width]) & 0xc0) == 0x80) --width;
  return text.substr(0, width);
}

template <class T>
void store_number(std::uint8_t* to, const Value& value) {
  const T number = std::visit(
      [](auto v) {
        if constexpr (std::is_same_v<decltype(v), std::string_view>) {
          assert(!"text in a column of numbers");
          return T{};
        } else {
          return static_cast<T>(v);
        }
      },
      value);
  std::memcpy(to, &number, sizeof number);
}

}  // namespace

Handle growing_storage(std::span<const hsize_t> chunk) {
  Handle storage(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make a property list");
  check(H5Pset_chunk(storage.get(), static_cast<int>(chunk.size()), chunk.data()), "set chunks");
  check(H5Pset_shuffle(storage.get()), "set the shuffle filter");
  check(H5Pset_deflate(storage.get(), 1), "set the gzip filter");
  return storage;
}

Table::Table(std::string name, std::string title, std::vector<Column> columns, Rows rows)
    : name_(std::move(name)), title_(std::move(title)), kind_(rows) {
  for (auto& column : columns) {
    const auto bytes = bytes_of(column);
    fields_.push_back({std::move(column), row_bytes_, bytes});
    row_bytes_ += bytes;
  }
}

void Table::store(const Field& field, std::uint8_t* row, const Value& value) {
  auto* to = row + field.offset;
  switch (field.column.kind) {
    case Kind::int32:
      return store_number<std::int32_t>(to, value);
    case Kind::uint32:
      return store_number<std::uint32_t>(to, value);
    case Kind::int64:
      return store_number<std::int64_t>(to, value);
    case Kind::uint64:
      return store_number<std::uint64_t>(to, value);
    case Kind::float64:
      return store_number<double>(to, value);
    case Kind::enumeration:
      return store_number<std::uint8_t>(to, value);
    case Kind::text:
      break;
  }
  const auto text = fitting(std::get<std::string_view>(value), field.bytes);
  std::memset(to, 0, field.bytes);
  std::copy(text.begin(), text.end(), to);
}

std::size_t Table::add(std::span<const Value> values) {
  assert(values.size() == fields_.size());
  const auto start = bytes_.size();
  bytes_.resize(start + row_bytes_);
  for (std::size_t i = 0; i < fields_.size(); ++i) store(fields_[i], bytes_.data() + start, values[i]);
  return rows_++;
}

void Table::add_packed(const void* rows, std::size_t count) {
  const auto* from = static_cast<const std::uint8_t*>(rows);
  bytes_.insert(bytes_.end(), from, from + count * row_bytes_);
  rows_ += count;
}

void Table::set(std::size_t row, std::string_view column, const Value& value) {
  assert(kind_ == Rows::changeable && row < rows_);
  const auto field = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.column.name == column; });
  assert(field != fields_.end());
  store(*field, bytes_.data() + row * row_bytes_, value);
  if (row < written_) changed_.insert(row);
}

void Table::create(hid_t file) {
  type_ = Handle(H5Tcreate(H5T_COMPOUND, row_bytes_), H5Tclose, "make the type of " + name_);
  for (const auto& field : fields_) {
    check(H5Tinsert(type_.get(), field.column.name.c_str(), field.offset, type_of(field.column).get()), "make the type of " + name_);
  }
  const hsize_t none = 0;
  const hsize_t unlimited = H5S_UNLIMITED;
  const hsize_t chunk = std::max<hsize_t>(chunk_bytes / row_bytes_, 16);
  const Handle space(H5Screate_simple(1, &none, &unlimited), H5Sclose, "make the space of " + name_);
  const auto storage = growing_storage({&chunk, 1});
  dataset_ = Handle(H5Dcreate2(file, name_.c_str(), type_.get(), space.get(), H5P_DEFAULT, storage.get(), H5P_DEFAULT), H5Dclose,
                    "create " + name_);
  set_fixed_attribute(dataset_.get(), "CLASS", "TABLE");
  set_fixed_attribute(dataset_.get(), "VERSION", "2.7");
  set_fixed_attribute(dataset_.get(), "TITLE", title_);
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    set_fixed_attribute(dataset_.get(), "FIELD_" + std::to_string(i) + "_NAME", fields_[i].column.name);
  }
}

void Table::write_rows(std::size_t first, std::size_t count, const void* from) {
  const hsize_t start = first;
  const hsize_t length = count;
  const Handle space(H5Dget_space(dataset_.get()), H5Sclose, "write " + name_);
  check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &length, nullptr), "write " + name_);
  const Handle memory(H5Screate_simple(1, &length, nullptr), H5Sclose, "write " + name_);
  check(H5Dwrite(dataset_.get(), type_.get(), memory.get(), space.get(), H5P_DEFAULT, from), "write " + name_);
}

void Table::write(hid_t file) {
  if (!dataset_) create(file);
  if (written_ < rows_) {
    const hsize_t size = rows_;
    check(H5Dset_extent(dataset_.get(), &size), "extend " + name_);
    write_rows(written_, rows_ - written_, bytes_.data() + (written_ - kept_from_) * row_bytes_);
    written_ = rows_;
  }
  for (const auto row : changed_) write_rows(row, 1, bytes_.data() + row * row_bytes_);
  changed_.clear();
  if (kind_ == Rows::changeable) return;
  kept_from_ = rows_;
  bytes_.clear();
  bytes_.shrink_to_fit();
}

}  // namespace starling::run::h5
