#include <starling/experiment/toml_nodes.hpp>

#include <fmt/format.h>

#include <starling/experiment/schema.hpp>

namespace starling::experiment {

std::string clipped(std::string_view text) {
  constexpr std::size_t longest = 200;
  std::string plain;
  for (const char c : text.substr(0, longest)) plain += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  if (text.size() <= longest) return plain;
  // Not in the middle of a UTF-8 sequence.
  while (!plain.empty() && (static_cast<unsigned char>(plain.back()) & 0xc0) == 0x80) plain.pop_back();
  if (!plain.empty() && (static_cast<unsigned char>(plain.back()) & 0x80) != 0) plain.pop_back();
  return plain + "…";
}

std::string found_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return fmt::format("the string {}", clipped(toml_string(*node.value<std::string>())));
    case toml::node_type::integer:
      return fmt::format("the integer {}", *node.value<std::int64_t>());
    case toml::node_type::floating_point:
      return fmt::format("the number {}", toml_number(*node.value_exact<double>()));
    case toml::node_type::boolean:
      return *node.value<bool>() ? "true" : "false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a section";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date with time";
    case toml::node_type::none:
      return "nothing";
  }
  return "nothing";
}

}  // namespace starling::experiment
