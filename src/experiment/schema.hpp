// The keys of an experiment file: one table that parsing, validation, defaults, to_toml(), help and documentation read.
// Adding a key is adding a field to experiment.hpp (its initialiser is the default) and a row here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <starling/experiment/experiment.hpp>

namespace starling::experiment {

/// The field a key fills; the alternative is the key's type.
using Field = std::variant<std::int64_t& (*)(Experiment&), std::uint64_t& (*)(Experiment&), double& (*)(Experiment&),
                           bool& (*)(Experiment&), std::string& (*)(Experiment&), std::vector<std::string>& (*)(Experiment&)>;

/// Both ends are legal.
struct IntegerRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

struct NumberRange {
  double least = 0;
  double most = 0;
  bool without_least = false;
  bool without_most = false;
};

/// A string, or every string of a list, is one of these names.
struct Choice {
  std::vector<std::string> names;
};

/// A string, or every string of a list, has this form.
struct Form {
  bool (*fits)(std::string_view) = nullptr;
  std::string expected;
};

using Limits = std::variant<std::monostate, IntegerRange, NumberRange, Choice, Form>;

/// Which kinds of task a key belongs to: `files` to those that read files, `tokens` to those that have a vocabulary.
enum class Scope { every_task, files, tokens, language_model, mad, series };

enum class Presence { optional, required };

/// Where the value of another key leaves a key nothing to say: it is not written back then, and refused where it is given.
struct Idle {
  bool (*when)(const Experiment&) = nullptr;
  std::string beside;   ///< the other key
  std::string because;  ///< "a constant training.schedule stays at the peak"
};

struct Key {
  std::string path;  ///< "search.population"
  Field field;
  Limits limits;
  std::string help;  ///< one sentence
  Presence presence = Presence::optional;
  Scope scope = Scope::every_task;
  bool may_be_empty = false;  ///< of lists
  std::string only_of{};      ///< the one MAD task that has the key
  std::string word{};         ///< of lists: what may stand in place of one, and stands for the empty list
  Idle idle{};
};

/// In the order the file is written.
const std::vector<Key>& schema();
/// Null where there is no such key.
const Key* find_key(std::string_view path);
/// "search" of "search.population"; "" of "name".
std::string_view section_of(const Key& key);
/// "tokens" of "training.tokens".
std::string_view leaf_of(const Key& key);
/// The sections, in order, without the top level.
std::vector<std::string> sections();

/// Whether the key means something for this task.
bool applies(const Key& key, const Task& task);
/// Whether a key can stand in the file of an experiment with this task.kind.
bool applies(const Key& key, std::string_view task_kind);
/// Whether it stands in what is saved of the experiment.
bool is_saved(const Key& key, const Experiment& experiment);
/// Every task.kind, and those a scope stands for.
std::vector<std::string> task_kinds();
std::vector<std::string> kinds_of(Scope scope);
/// The kinds of a scope in quotes: `'language-model' and 'series'`.
std::string kinds_text(Scope scope, std::string_view quote, std::string_view between);

/// "integer", "number", "boolean", "string", "list of strings".
std::string type_name(const Key& key);
/// "1 … 1024", "nsga2 | random", "" where anything of the type is legal.
std::string range_text(const Key& key);
/// The value an experiment has, as TOML.
std::string toml_value(const Key& key, const Experiment& experiment);

/// A number that reads back as the same double, always with a point or an exponent.
std::string toml_number(double value);
/// A basic TOML string with quotes. `text` must be UTF-8.
std::string toml_string(std::string_view text);

}  // namespace starling::experiment
