#include <starling/experiment/class_rows.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>

#include <starling/base/error.hpp>
#include <starling/experiment/schema.hpp>
#include <starling/experiment/toml_nodes.hpp>
#include <starling/genome/legality.hpp>

namespace starling::experiment {
namespace {

using genome::FeatureGroup;
using genome::Parametrisation;

const std::vector<KeyHelp>& row_keys() {
  static const std::vector<KeyHelp> keys = {
      {"class.id", "integer", "", "1 … 32767", "Number of the class in genomes; one that no class of the catalogue has."},
      {"class.name", "string", "", "1 to 32 letters, digits, '.', '_' or '-'", "Name of the class in tables."},
      {"class.operator", "list of integers", "", "five integers",
       "Operator genome: featurizer, token mixing, structured sparsity, nonlinearity, channel mixing."},
      {"class.differential", "boolean", "false", "", "Whether T is T₁ − λ T₂."},
      {"class.definition", "string", "\"\"", "any text", "A line that `starling classes` shows."},
      {"class.groups", "list of groups", "[]", "{name = …, …}",
       "Featurizer genome of its own, defined under the first integer of operator; without it that integer names a featurizer that is "
       "there."},
  };
  return keys;
}

const std::vector<KeyHelp>& group_keys() {
  static const std::vector<KeyHelp> keys = {
      {"class.groups.name", "string", "", "q, k, v | gate, value | B, C, v, K | B, C, A, v, z", "The feature group."},
      {"class.groups.parametrisation", "string", "\"input\"", fmt::format("{}", fmt::join(genome::parametrisation_names, " | ")),
       "Where its values come from."},
      {"class.groups.token_mixing", "integer", "1", "1 | 3", "3 is a depthwise causal convolution; K has it too."},
      {"class.groups.taps", "integer", "0", "0 … 8", "Of the convolution, or of a direct K."},
      {"class.groups.sparsity", "integer", "1", "1", "Structured sparsity."},
      {"class.groups.nonlinearity", "integer", "1", "1 | 3 | 4 | 5", "None, ReLU, SiLU or GELU."},
      {"class.groups.channel_mixing", "integer", "2", "1 … 4", "Diagonal, dense, grouped or Monarch."},
      {"class.groups.expansion", "integer or string", "1", "2, \"1/4\" or \"16 per token\"",
       "Group channels / input channels, or a number."},
      {"class.groups.repeat", "integer", "1", "1 … 4096", "How often the group is replicated across channels."},
  };
  return keys;
}

/// "id" of "class.id".
std::string leaf(const KeyHelp& key) { return key.key.substr(key.key.rfind('.') + 1); }

Place place_of(const toml::node& node) { return {static_cast<int>(node.source().begin.line)}; }

bool is_class_name(std::string_view text) {
  constexpr std::size_t longest = 32;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, plain);
}

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

/// "1/4", "16 per token", "2".
std::optional<genome::Expansion> expansion_of(std::string_view text) {
  constexpr std::string_view per_token = " per token";
  genome::Expansion expansion;
  if (text.ends_with(per_token)) {
    expansion.per_token = true;
    text.remove_suffix(per_token.size());
  }
  const auto slash = expansion.per_token ? std::string_view::npos : text.find('/');
  const auto above = whole_number(text.substr(0, slash));
  const auto below = slash == std::string_view::npos ? std::optional(1) : whole_number(text.substr(slash + 1));
  if (!above || !below || *above < 1 || *below < 1) return {};
  const int divisor = std::gcd(*above, *below);
  expansion.numerator = *above / divisor;
  expansion.denominator = *below / divisor;
  return expansion;
}

/// As TOML: a whole number as such.
std::string text_of(const genome::Expansion& expansion) {
  const bool whole = !expansion.per_token && expansion.denominator == 1;
  return whole ? genome::to_text(expansion) : toml_string(genome::to_text(expansion));
}

/// Reads the keys of one table and remembers whether all of them were sound.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string label, const std::vector<KeyHelp>& keys, Findings& findings)
      : table_(table), label_(std::move(label)), keys_(keys), findings_(findings) {
    std::vector<std::string> names;
    for (const auto& key : keys_) names.push_back(leaf(key));
    for (const auto& [name, node] : table_) {
      const auto written = std::string{name.str()};
      if (std::ranges::find(names, written) != names.end()) continue;
      complain(place_of(node), fmt::format("unknown key '{}'{}", clipped(written), did_you_mean(written, names)));
    }
    for (const auto& key : keys_) {
      if (key.default_value.empty() && !table_.contains(leaf(key))) {
        complain(place_of(table_), fmt::format("'{}' is missing, expected {} = {} ({})", leaf(key), leaf(key), key.type, key.range));
      }
    }
  }

  bool sound() const { return sound_; }
  const toml::node* find(std::string_view name) const { return table_.get(name); }

  void complain(Place place, const std::string& message) {
    findings_.add(place, fmt::format("{}: {}", label_, message));
    sound_ = false;
  }

  void refuse(const toml::node& node, std::string_view name) {
    const auto& key = *std::ranges::find(keys_, name, leaf);
    const auto* const article = key.type.starts_with("integer") ? "an" : "a";
    complain(place_of(node), fmt::format("'{}' is {}, expected {} {}{}", name, found_text(node), article, key.type,
                                         key.range.empty() ? "" : fmt::format(" ({})", key.range)));
  }

  void read(std::string_view name, int& target) {
    const auto* const node = find(name);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < INT16_MIN || *value > INT16_MAX) return refuse(*node, name);
    target = static_cast<int>(*value);
  }

  template <class E>
  void read_number(std::string_view name, E& target) {
    int number = static_cast<int>(target);
    read(name, number);
    target = static_cast<E>(number);
  }

  void read(std::string_view name, std::string& target) {
    const auto* const node = find(name);
    if (node == nullptr) return;
    const auto value = node->value_exact<std::string>();
    if (!value) return refuse(*node, name);
    target = *value;
  }

  void read(std::string_view name, bool& target) {
    const auto* const node = find(name);
    if (node == nullptr) return;
    const auto value = node->value_exact<bool>();
    if (!value) return refuse(*node, name);
    target = *value;
  }

 private:
  const toml::table& table_;
  std::string label_;
  const std::vector<KeyHelp>& keys_;
  Findings& findings_;
  bool sound_ = true;
};

void read_expansion(TableReader& reader, genome::Expansion& expansion) {
  const auto* const node = reader.find("expansion");
  if (node == nullptr) return;
  const auto text = node->value_exact<std::string>();
  const auto number = node->value_exact<std::int64_t>();
  const auto read = text ? expansion_of(*text) : number ? expansion_of(std::to_string(*number)) : std::nullopt;
  if (!read) return reader.refuse(*node, "expansion");
  expansion = *read;
}

void read_parametrisation(TableReader& reader, Parametrisation& target) {
  const auto* const node = reader.find("parametrisation");
  if (node == nullptr) return;
  const auto name = node->value_exact<std::string>();
  const auto found = name ? std::ranges::find(genome::parametrisation_names, *name) : genome::parametrisation_names.end();
  if (found == genome::parametrisation_names.end()) return reader.refuse(*node, "parametrisation");
  target = static_cast<Parametrisation>(found - genome::parametrisation_names.begin());
}

std::optional<FeatureGroup> read_group(const toml::node& node, const std::string& label, Findings& findings) {
  const auto* const table = node.as_table();
  if (table == nullptr) {
    findings.add(place_of(node), fmt::format("{}: 'groups' holds {}, expected groups such as {{name = \"q\"}}", label, found_text(node)));
    return {};
  }
  const auto name = (*table)["name"].value_exact<std::string>();
  TableReader reader(*table, name ? fmt::format("{}, group '{}'", label, clipped(*name)) : label + ", group", group_keys(), findings);
  FeatureGroup group;
  reader.read("name", group.name);
  read_parametrisation(reader, group.parametrisation);
  reader.read_number("token_mixing", group.token_mixing);
  reader.read("taps", group.kernel);
  reader.read_number("sparsity", group.sparsity);
  reader.read_number("nonlinearity", group.nonlinearity);
  reader.read_number("channel_mixing", group.channel_mixing);
  read_expansion(reader, group.expansion);
  reader.read("repeat", group.repeat);
  if (!reader.sound()) return {};
  return group;
}

bool read_groups(TableReader& reader, const std::string& label, std::vector<FeatureGroup>& groups, Findings& findings) {
  const auto* const node = reader.find("groups");
  if (node == nullptr) return true;
  const auto* const list = node->as_array();
  if (list == nullptr || list->empty()) {
    reader.refuse(*node, "groups");
    return false;
  }
  for (const auto& entry : *list) {
    auto group = read_group(entry, label, findings);
    if (group) groups.push_back(std::move(*group));
  }
  return groups.size() == list->size();
}

void read_operator(TableReader& reader, genome::OperatorGenome& op) {
  const auto* const node = reader.find("operator");
  if (node == nullptr) return;
  const auto* const list = node->as_array();
  std::array<int, 5> integers{};
  if (list == nullptr || list->size() != integers.size()) return reader.refuse(*node, "operator");
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const auto value = (*list)[i].value_exact<std::int64_t>();
    if (!value || *value < INT16_MIN || *value > INT16_MAX) {
      return reader.complain(place_of((*list)[i]), fmt::format("'operator' holds {}, expected five integers", found_text((*list)[i])));
    }
    integers[i] = static_cast<int>(*value);
  }
  op = {integers[0], static_cast<genome::TokenMixing>(integers[1]), static_cast<genome::Sparsity>(integers[2]),
        static_cast<genome::Nonlinearity>(integers[3]), static_cast<genome::ChannelMixing>(integers[4])};
}

std::string group_to_toml(const FeatureGroup& group) {
  return fmt::format(
      "{{name = {}, parametrisation = \"{}\", token_mixing = {}, taps = {}, sparsity = {}, nonlinearity = {}, channel_mixing = {}, "
      "expansion = {}, repeat = {}}}",
      toml_string(group.name), genome::name_of(group.parametrisation), static_cast<int>(group.token_mixing), group.kernel,
      static_cast<int>(group.sparsity), static_cast<int>(group.nonlinearity), static_cast<int>(group.channel_mixing),
      text_of(group.expansion), group.repeat);
}

}  // namespace

void read_classes(const toml::node& node, std::vector<ClassRow>& rows, Given& given, Findings& findings) {
  const auto* const list = node.as_array();
  const bool tables = list != nullptr && std::ranges::all_of(*list, [](const toml::node& row) { return row.is_table(); });
  if (!tables) {
    findings.add(place_of(node), fmt::format("'class' is {}, expected rows that begin with [[class]]", found_text(node)));
    return;
  }
  for (const auto& entry : *list) {
    const auto& table = *entry.as_table();
    const auto name = table["name"].value_exact<std::string>();
    const auto label = name ? fmt::format("[[class]] '{}'", clipped(*name)) : std::string("[[class]]");
    TableReader reader(table, label, row_keys(), findings);
    ClassRow row;
    reader.read("id", row.liv_class.id);
    reader.read("name", row.liv_class.name);
    if (name && !is_class_name(*name)) reader.refuse(*reader.find("name"), "name");
    read_operator(reader, row.liv_class.op);
    reader.read("differential", row.liv_class.differential);
    reader.read("definition", row.liv_class.definition);
    if (!read_groups(reader, label, row.groups, findings) || !reader.sound()) continue;
    rows.push_back(std::move(row));
    given.classes.push_back(place_of(table));
  }
}

std::string classes_to_toml(const std::vector<ClassRow>& rows) {
  std::string text;
  for (const auto& [liv_class, groups] : rows) {
    const auto& op = liv_class.op;
    text += fmt::format("\n[[class]]\nid = {}\nname = {}\noperator = [{}, {}, {}, {}, {}]\ndifferential = {}\ndefinition = {}\n",
                        liv_class.id, toml_string(liv_class.name), op.featurizer, static_cast<int>(op.token_mixing),
                        static_cast<int>(op.sparsity), static_cast<int>(op.nonlinearity), static_cast<int>(op.channel_mixing),
                        liv_class.differential, toml_string(liv_class.definition));
    if (groups.empty()) continue;
    text += "groups = [\n";
    for (const auto& group : groups) text += "  " + group_to_toml(group) + ",\n";
    text += "]\n";
  }
  return text;
}

std::vector<KeyHelp> class_keys() {
  auto keys = row_keys();
  keys.insert(keys.end(), group_keys().begin(), group_keys().end());
  return keys;
}

const std::vector<FeatureGroup>* groups_of(const ClassRow& row, const Model& model) {
  if (!row.groups.empty()) return &row.groups;
  const auto id = row.liv_class.op.featurizer;
  for (const auto& other : model.classes) {
    if (!other.groups.empty() && other.liv_class.op.featurizer == id) return &other.groups;
  }
  for (const auto& featurizer : genome::Catalogue::named(model.catalogue).featurizers()) {
    if (featurizer.id == id) return &featurizer.groups;
  }
  return nullptr;
}

const genome::Catalogue& catalogue(const Experiment& experiment) {
  const auto& model = experiment.model;
  const auto& base = genome::Catalogue::named(model.catalogue);
  if (model.classes.empty()) return base;
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const genome::Catalogue>> made;
  const std::lock_guard lock(mutex);
  auto& entry = made[model.catalogue + classes_to_toml(model.classes)];
  if (!entry) {
    std::vector<genome::LivClass> classes;
    std::vector<genome::Featurizer> featurizers;
    for (const auto& row : model.classes) {
      classes.push_back(row.liv_class);
      if (!row.groups.empty()) featurizers.push_back({row.liv_class.op.featurizer, row.groups});
    }
    entry = std::make_unique<const genome::Catalogue>(base.extended(classes, featurizers));
  }
  return *entry;
}

}  // namespace starling::experiment
