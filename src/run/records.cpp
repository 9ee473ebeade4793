#include <starling/run/records.hpp>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/run/fields.hpp>

namespace starling::run {
namespace {

using nlohmann::json;

constexpr std::array origins{search::Origin::random, search::Origin::crossover, search::Origin::mutation, search::Origin::baseline,
                             search::Origin::user};
constexpr std::array statuses{search::Status::ok, search::Status::diverged, search::Status::infeasible, search::Status::killed,
                              search::Status::superseded};

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept Plain = std::same_as<T, bool> || Integer<T> || std::same_as<T, std::string>;
/// A struct that each_field() knows.
template <class T>
concept Fields = std::is_class_v<T> && !Plain<T>;

// --- encoding

template <Plain T>
json pack(const T& value) {
  return value;
}
json pack(double value);
json pack(search::Origin value) { return search::to_string(value); }
json pack(search::Status value) { return search::to_string(value); }
/// A list of five integers per LIV where they say all of it, else the text.
json pack(const genome::Genome& value) {
  if (genome::genes_needed(value) == genome::genes_per_liv) return genome::to_genes(value);
  return genome::to_text(value);
}
json pack(const std::vector<CurvePoint>& curve);
template <Fields T>
json pack(const T& value);
template <class T>
json pack(const std::vector<T>& values);

json pack(double value) {
  // The library writes every NaN as the default one.
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (!std::isnan(value) || bits == std::bit_cast<std::uint64_t>(none)) return value;
  std::vector<std::uint8_t> bytes(sizeof bits);
  std::memcpy(bytes.data(), &bits, sizeof bits);
  return json::binary(std::move(bytes));
}

json pack(const std::vector<CurvePoint>& curve) {
  json columns = json::object();
  each_curve_column([&](const char* name, auto member) {
    using T = std::remove_reference_t<decltype(CurvePoint{}.*member)>;
    std::vector<std::uint8_t> bytes(curve.size() * sizeof(T));
    for (std::size_t i = 0; i < curve.size(); ++i) std::memcpy(bytes.data() + i * sizeof(T), &(curve[i].*member), sizeof(T));
    columns[name] = json::binary(std::move(bytes));
  });
  return columns;
}

template <class T>
json pack(const std::vector<T>& values) {
  json list = json::array();
  for (const auto& value : values) list.push_back(pack(value));
  return list;
}

template <Fields T>
json pack(const T& value) {
  json object = json::object();
  each_field(value, [&](const char* name, const auto& member, auto...) { object[name] = pack(member); });
  return object;
}

// --- decoding

[[noreturn]] void refuse(std::string_view name, std::string_view expected, const json& found) {
  throw Failure(fmt::format("field '{}' is {}, expected {}", name, found.type_name(), expected));
}

void unpack(const json& value, std::string_view name, bool& out);
template <Integer T>
void unpack(const json& value, std::string_view name, T& out);
void unpack(const json& value, std::string_view name, double& out);
void unpack(const json& value, std::string_view name, std::string& out);
void unpack(const json& value, std::string_view name, search::Origin& out);
void unpack(const json& value, std::string_view name, search::Status& out);
void unpack(const json& value, std::string_view name, genome::Genome& out);
void unpack(const json& value, std::string_view name, std::vector<CurvePoint>& out);
template <Fields T>
void unpack(const json& value, std::string_view name, T& out);
template <class T>
void unpack(const json& value, std::string_view name, std::vector<T>& out);

void unpack(const json& value, std::string_view name, bool& out) {
  if (!value.is_boolean()) refuse(name, "a boolean", value);
  out = value.get<bool>();
}

template <Integer T>
void unpack(const json& value, std::string_view name, T& out) {
  if (!value.is_number_integer()) refuse(name, "an integer", value);
  const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>()) : std::in_range<T>(value.get<std::int64_t>());
  if (!fits) throw Failure(fmt::format("field '{}' is {}, out of range", name, value.dump()));
  out = value.is_number_unsigned() ? static_cast<T>(value.get<std::uint64_t>()) : static_cast<T>(value.get<std::int64_t>());
}

void unpack(const json& value, std::string_view name, double& out) {
  if (value.is_binary() && value.get_binary().size() == sizeof out) {
    std::memcpy(&out, value.get_binary().data(), sizeof out);
    return;
  }
  if (!value.is_number()) refuse(name, "a number", value);
  out = value.get<double>();
}

void unpack(const json& value, std::string_view name, std::string& out) {
  if (!value.is_string()) refuse(name, "a string", value);
  out = value.get_ref<const std::string&>();
}

template <class Enum, std::size_t N>
void from_name(const json& value, std::string_view name, const std::array<Enum, N>& known, Enum& out) {
  std::string text;
  unpack(value, name, text);
  for (const auto candidate : known) {
    if (search::to_string(candidate) != text) continue;
    out = candidate;
    return;
  }
  throw Failure(fmt::format("field '{}' is '{}', which this version does not know", name, text));
}

void unpack(const json& value, std::string_view name, search::Origin& out) { from_name(value, name, origins, out); }
void unpack(const json& value, std::string_view name, search::Status& out) { from_name(value, name, statuses, out); }

void unpack(const json& value, std::string_view name, genome::Genome& out) {
  if (value.is_string()) {
    try {
      out = genome::parse_genome(value.get_ref<const std::string&>());
    } catch (const UserError& error) {
      throw Failure(fmt::format("field '{}': {}", name, error.what()));
    }
    return;
  }
  std::vector<std::int16_t> genes;
  unpack(value, name, genes);
  if (genes.size() % genome::genes_per_liv != 0) {
    throw Failure(fmt::format("field '{}' has {} genes, expected a multiple of {}", name, genes.size(), genome::genes_per_liv));
  }
  out = genome::from_genes(genes);
}

template <Fields T>
void unpack(const json& value, std::string_view name, T& out) {
  if (!value.is_object()) refuse(name, "a map", value);
  each_field(out, [&]<class... When>(const char* field, auto& member, When...) {
    const auto found = value.find(field);
    if (found == value.end() && std::same_as<std::tuple<When...>, std::tuple<AddedLater>>) return;
    if (found == value.end()) throw Failure(fmt::format("field '{}' is missing in '{}'", field, name));
    unpack(*found, field, member);
  });
}

void unpack(const json& value, std::string_view name, std::vector<CurvePoint>& out) {
  if (!value.is_object()) refuse(name, "a map of columns", value);
  out.clear();
  bool first = true;
  each_curve_column([&](const char* column, auto member) {
    using T = std::remove_reference_t<decltype(CurvePoint{}.*member)>;
    const auto found = value.find(column);
    if (found == value.end()) throw Failure(fmt::format("column '{}' is missing in '{}'", column, name));
    if (!found->is_binary()) refuse(column, "a byte string", *found);
    const auto& bytes = found->get_binary();
    if (std::exchange(first, false)) out.resize(bytes.size() / sizeof(T));
    if (bytes.size() != out.size() * sizeof(T)) {
      throw Failure(fmt::format("column '{}' of '{}' has {} bytes, expected {}", column, name, bytes.size(), out.size() * sizeof(T)));
    }
    for (std::size_t i = 0; i < out.size(); ++i) std::memcpy(&(out[i].*member), bytes.data() + i * sizeof(T), sizeof(T));
  });
}

template <class T>
void unpack(const json& value, std::string_view name, std::vector<T>& out) {
  if (!value.is_array()) refuse(name, "a list", value);
  out.clear();
  out.reserve(value.size());
  for (const auto& element : value) unpack(element, name, out.emplace_back());
}

// Takes the alternative of Record whose kind is `kind`.
template <std::size_t I = 0>
Record decode_kind(std::string_view kind, const json& value) {
  if constexpr (I == std::variant_size_v<Record>) {
    throw Failure(fmt::format("record of the unknown kind '{}'", kind));
  } else {
    std::variant_alternative_t<I, Record> record;
    if (kind_of(record) != kind) return decode_kind<I + 1>(kind, value);
    unpack(value, kind, record);
    return record;
  }
}

json parse(std::span<const std::uint8_t> bytes) {
  try {
    return json::from_cbor(bytes.begin(), bytes.end());
  } catch (const json::exception& error) {
    throw Failure(fmt::format("the bytes are not CBOR: {}", error.what()));
  }
}

std::string format_utc(std::int64_t milliseconds) {
  const std::int64_t day_aware_seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000;
  const auto seconds = static_cast<std::time_t>(day_aware_seconds);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec, milliseconds - day_aware_seconds * 1000);
}

}  // namespace

std::vector<std::uint8_t> encode(const Record& record) {
  json object = std::visit(
      [](const auto& r) {
        json fields = pack(r);
        fields["type"] = kind_of(r);
        return fields;
      },
      record);
  return json::to_cbor(object);
}

Record decode(std::span<const std::uint8_t> bytes) {
  const json object = parse(bytes);
  if (!object.is_object()) throw Failure("the bytes are not a CBOR map");
  const auto kind = object.find("type");
  if (kind == object.end() || !kind->is_string()) throw Failure("field 'type' is missing");
  return decode_kind(kind->get_ref<const std::string&>(), object);
}

std::string now_utc() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return format_utc(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

std::string later_utc(const std::string& time, double seconds) {
  std::tm parts{};
  int milliseconds = 0;
  int used = 0;
  const int found = std::sscanf(time.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                                &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &milliseconds, &used);
  constexpr double century = 3.2e9;
  if (found != 7 || static_cast<std::size_t>(used) != time.size() || !(std::abs(seconds) < century)) return {};
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return format_utc(static_cast<std::int64_t>(timegm(&parts)) * 1000 + milliseconds + std::llround(seconds * 1000));
}

}  // namespace starling::run
