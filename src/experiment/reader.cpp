#include <starling/experiment/reader.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <variant>

#include <starling/base/error.hpp>
#include <starling/experiment/class_rows.hpp>
#include <starling/experiment/toml_nodes.hpp>

namespace starling::experiment {

void Findings::add(Place place, std::string message) { findings_.push_back({place, std::move(message)}); }

void Findings::raise() const {
  if (findings_.empty()) return;
  constexpr std::size_t shown = 20;
  auto ordered = findings_;
  std::ranges::stable_sort(ordered, {}, [](const Finding& finding) { return finding.place.line; });
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, ordered.size()); ++i) {
    const auto& [place, message] = ordered[i];
    if (i > 0) text += '\n';
    if (place.line == Place::command_line) {
      text += fmt::format("command line: {}", message);
    } else if (place.line == Place::whole_file) {
      text += fmt::format("{}: {}", source_, message);
    } else {
      text += fmt::format("{}:{}: {}", source_, place.line, message);
    }
  }
  if (ordered.size() > shown) text += fmt::format("\n{}: and {} more", source_, ordered.size() - shown);
  throw UserError(text);
}

bool Given::sound(std::string_view path) const {
  const auto found = keys_.find(std::string{path});
  return found == keys_.end() || found->second.sound;
}

Place Given::place(const std::vector<std::string_view>& paths) const {
  Place last{0};
  for (const auto path : paths) {
    const auto found = keys_.find(std::string{path});
    if (found != keys_.end()) last.line = std::max(last.line, found->second.place.line);
  }
  return last.line == 0 ? Place{} : last;
}

Place Given::section(std::string_view name) const {
  const auto found = sections_.find(std::string{name});
  return found == sections_.end() ? Place{} : found->second;
}

namespace {

/// Line with a dotted key so deep that the TOML library's recursion would overflow the stack; 0 where there is none.
int line_too_deep(std::string_view text) {
  constexpr int most_dots = 1000;
  int line = 1;
  int dots = 0;
  char quote = 0;  // of the string that this is in; strings of several lines have no keys behind their first line
  bool in_comment = false, is_escaped = false;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
      quote = 0;
      in_comment = false;
    } else if (in_comment) {
      continue;
    } else if (quote != 0) {
      if (c == quote && !is_escaped) quote = 0;
      is_escaped = quote == '"' && c == '\\' && !is_escaped;
    } else if (c == '"' || c == '\'') {
      quote = c;
      is_escaped = false;
    } else if (c == '#') {
      in_comment = true;
    } else if (c == '.' && ++dots > most_dots) {
      return line;
    }
  }
  return 0;
}

std::string expected_text(const Key& key) {
  const auto type = type_name(key);
  const auto article = type == "integer" ? "an" : "a";
  if (const auto* form = std::get_if<Form>(&key.limits); form != nullptr && !key.word.empty()) {
    return fmt::format("{} or {} {} ({})", toml_string(key.word), article, type, form->expected);
  }
  const auto range = range_text(key);
  return range.empty() ? fmt::format("{} {}", article, type) : fmt::format("{} {} ({})", article, type, range);
}

/// What is wrong with one value, or nothing.
using Complaint = std::optional<std::string>;

Complaint wrong_type(const Key& key, const toml::node& node) {
  auto text = fmt::format("'{}' is {}, expected {}", key.path, found_text(node), expected_text(key));
  if (const auto number = node.value_exact<double>(); number && type_name(key) == "integer") {
    constexpr double exact_up_to = 9007199254740992.0;
    if (std::trunc(*number) == *number && std::abs(*number) <= exact_up_to) text += fmt::format("; write {:.0f}", *number);
  }
  if (type_name(key) == "list of strings" && node.is_string())
    text += fmt::format("; write [{}]", clipped(toml_string(*node.value<std::string>())));
  return text;
}

Complaint check_string(const Key& key, const std::string& value) {
  if (const auto* choice = std::get_if<Choice>(&key.limits);
      choice != nullptr && std::ranges::find(choice->names, value) == choice->names.end()) {
    return fmt::format("'{}' is {}, expected {}{}", key.path, clipped(toml_string(value)), range_text(key),
                       did_you_mean(value, choice->names));
  }
  if (const auto* form = std::get_if<Form>(&key.limits); form != nullptr && !form->fits(value)) {
    return fmt::format("'{}' is {}, expected {}", key.path, clipped(toml_string(value)), form->expected);
  }
  return {};
}

Complaint store_integer(const Key& key, const toml::node& node, const std::function<void(std::int64_t)>& put) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value) return wrong_type(key, node);
  const auto& range = std::get<IntegerRange>(key.limits);
  if (*value < range.least || *value > range.most) return fmt::format("'{}' is {}, expected {}", key.path, *value, expected_text(key));
  put(*value);
  return {};
}

Complaint store(const Key& key, const toml::node& node, std::int64_t& target) {
  return store_integer(key, node, [&target](std::int64_t value) { target = value; });
}

Complaint store(const Key& key, const toml::node& node, std::uint64_t& target) {
  return store_integer(key, node, [&target](std::int64_t value) { target = static_cast<std::uint64_t>(value); });
}

Complaint store(const Key& key, const toml::node& node, double& target) {
  if (!node.is_number()) return wrong_type(key, node);
  const double value = node.is_integer() ? static_cast<double>(*node.value_exact<std::int64_t>()) : *node.value_exact<double>();
  const auto& range = std::get<NumberRange>(key.limits);
  const bool inside = std::isfinite(value) && value >= range.least && value <= range.most &&
                      !(range.without_least && value == range.least) && !(range.without_most && value == range.most);
  if (!inside) return fmt::format("'{}' is {}, expected {}", key.path, value, expected_text(key));
  target = value;
  return {};
}

Complaint store(const Key& key, const toml::node& node, bool& target) {
  const auto value = node.value_exact<bool>();
  if (!value) return wrong_type(key, node);
  target = *value;
  return {};
}

Complaint store(const Key& key, const toml::node& node, std::string& target) {
  const auto value = node.value_exact<std::string>();
  if (!value) return wrong_type(key, node);
  if (auto complaint = check_string(key, *value)) return complaint;
  target = *value;
  return {};
}

Complaint store(const Key& key, const toml::node& node, std::vector<std::string>& target) {
  if (!key.word.empty() && node.value_exact<std::string>() == key.word) {
    target.clear();
    return {};
  }
  const auto* list = node.as_array();
  if (list == nullptr) return wrong_type(key, node);
  std::vector<std::string> values;
  for (const auto& entry : *list) {
    const auto value = entry.value_exact<std::string>();
    if (!value) return fmt::format("'{}' holds {}, expected {}", key.path, found_text(entry), expected_text(key));
    if (auto complaint = check_string(key, *value)) return complaint;
    if (std::ranges::find(values, *value) != values.end()) {
      return fmt::format("'{}' names {} twice", key.path, clipped(toml_string(*value)));
    }
    values.push_back(*value);
  }
  if (values.empty() && !key.may_be_empty) {
    return fmt::format("'{}' is an empty list, expected at least one entry ({})", key.path, range_text(key));
  }
  target = std::move(values);
  return {};
}

void take(const Key& key, const toml::node& node, Place place, Experiment& experiment, Given& given, Findings& findings) {
  const auto complaint = std::visit([&](auto access) { return store(key, node, access(experiment)); }, key.field);
  given.set(key, place, !complaint);
  if (complaint) findings.add(place, *complaint);
}

std::string unknown_key(std::string_view path) {
  // A right name in the wrong section is likelier than a slip of several letters.
  const auto leaf = path.substr(path.rfind('.') + 1);
  std::vector<std::string> all;
  std::vector<std::string> same_leaf;
  for (const auto& key : schema()) {
    all.push_back(key.path);
    if (leaf_of(key) == leaf) same_leaf.push_back(key.path);
  }
  const auto hint = same_leaf.size() == 1 ? fmt::format(" (did you mean '{}'?)", same_leaf[0]) : did_you_mean(path, all);
  return fmt::format("unknown key '{}'{}", clipped(path), hint);
}

class Walker {
 public:
  Walker(Experiment& experiment, Given& given, Findings& findings)
      : experiment_(experiment), given_(given), findings_(findings), sections_(sections()) {}

  void walk(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      auto written = std::string{name.str()};
      // A quoted "a.b" is one name, not the path a.b.
      if (written.find('.') != std::string::npos) written = toml_string(written);
      const auto path = prefix.empty() ? written : prefix + "." + written;
      const Place place{static_cast<int>(name.source().begin.line)};
      const bool is_section = std::ranges::find(sections_, path) != sections_.end();
      if (path == "class") {
        read_classes(node, experiment_.model.classes, given_, findings_);
      } else if (const auto* key = find_key(path)) {
        take(*key, node, place, experiment_, given_, findings_);
      } else if (is_section && !node.is_table()) {
        findings_.add(place, fmt::format("'{}' is {}, expected a section: [{}]", path, found_text(node), path));
      } else if (node.is_table() && (is_section || !node.as_table()->empty())) {
        given_.set_section(path, place);
        walk(*node.as_table(), path);
      } else if (node.is_table()) {
        const auto near = nearest_name(path, sections_);
        findings_.add(place,
                      fmt::format("unknown section [{}]{}", clipped(path), near.empty() ? "" : fmt::format(" (did you mean [{}]?)", near)));
      } else {
        findings_.add(place, unknown_key(path));
      }
    }
  }

 private:
  Experiment& experiment_;
  Given& given_;
  Findings& findings_;
  std::vector<std::string> sections_;
};

/// The value of an override as a node under "v": as TOML, else as a string. Nothing where it is neither.
std::optional<toml::table> override_value(const std::string& text) {
  const auto alone = [](toml::table table) -> std::optional<toml::table> {
    // A line break could smuggle in further keys.
    if (table.size() != 1 || !table.contains("v")) return {};
    return table;
  };
  try {
    if (auto table = alone(toml::parse("v = " + text))) return table;
  } catch (const toml::parse_error&) {
    // not TOML: a bare word, unless it opens like a TOML value
    if (text.find_first_of("\"'[{") == 0) return {};
  }
  try {
    return alone(toml::parse("v = " + toml_string(text)));  // fails where the text is not UTF-8
  } catch (const toml::parse_error&) {
    return {};
  }
}

}  // namespace

bool read_text(std::string_view toml, Experiment& experiment, Given& given, Findings& findings) {
  if (const int line = line_too_deep(toml); line != 0) {
    findings.add(Place{line}, "not an experiment: a line with more than 1000 dots");
    return false;
  }
  toml::table table;
  try {
    table = toml::parse(toml);
  } catch (const toml::parse_error& error) {
    findings.add(Place{static_cast<int>(error.source().begin.line)}, fmt::format("not TOML: {}", clipped(error.description())));
    return false;
  }
  Walker(experiment, given, findings).walk(table, "");
  return true;
}

void read_override(const std::string& text, Experiment& experiment, Given& given, Findings& findings) {
  const Place place{Place::command_line};
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || line_too_deep(text) != 0) {
    findings.add(place, fmt::format("'{}' is no override, expected key=value, such as search.population=32", clipped(text)));
    return;
  }
  const auto path = text.substr(0, text.find_last_not_of(" \t", equals - 1) + 1);
  const auto* key = find_key(path);
  if (key == nullptr) {
    findings.add(place, unknown_key(path));
    return;
  }
  // TOML skips blanks around a value; those around a bare word are no part of it either.
  const auto first = text.find_first_not_of(" \t", equals + 1);
  const auto value = first == std::string::npos ? std::string() : text.substr(first, text.find_last_not_of(" \t") + 1 - first);
  const auto table = override_value(value);
  if (!table) {
    findings.add(place, fmt::format("'{}' is not a value of TOML, expected {}", clipped(text), expected_text(*key)));
    given.set(*key, place, false);
    return;
  }
  take(*key, *table->get("v"), place, experiment, given, findings);
}

std::string task_kind(std::string_view toml) {
  try {
    return toml::parse(toml)["task"]["kind"].value_or(std::string());
  } catch (const toml::parse_error&) {
    return {};
  }
}

}  // namespace starling::experiment
