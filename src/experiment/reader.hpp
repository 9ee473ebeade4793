// Reads an experiment file and overrides into an Experiment, key by key, and collects everything that is wrong with
// them.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <starling/experiment/experiment.hpp>
#include <starling/experiment/schema.hpp>

namespace starling::experiment {

/// Where a value came from: a line of the file, or the command line.
struct Place {
  static constexpr int command_line = 1 << 30;
  static constexpr int whole_file = command_line - 1;  ///< for what is missing
  int line = whole_file;
};

/// What is wrong, told in the order of the file.
class Findings {
 public:
  explicit Findings(std::string source) : source_(std::move(source)) {}
  void add(Place place, std::string message);
  bool empty() const { return findings_.empty(); }
  /// Throws UserError with one line for each finding, or returns where there are none.
  void raise() const;

 private:
  struct Finding {
    Place place;
    std::string message;
  };
  std::string source_;
  std::vector<Finding> findings_;
};

/// Every key that was given, and where. Keys whose value was refused are no longer `sound`, so that no rule is checked
/// on them.
class Given {
 public:
  void set(const Key& key, Place place, bool sound) { keys_[key.path] = {place, sound}; }
  bool has(std::string_view path) const { return keys_.contains(std::string{path}); }
  bool sound(std::string_view path) const;
  /// The last given of these keys; the whole file where none was.
  Place place(const std::vector<std::string_view>& paths) const;
  void set_section(const std::string& name, Place place) { sections_[name] = place; }
  /// Where a section begins; the whole file where there is none.
  Place section(std::string_view name) const;
  /// Where the [[class]] rows begin, those of Experiment::model.classes in their order.
  std::vector<Place> classes;

 private:
  struct Entry {
    Place place;
    bool sound = true;
  };
  std::unordered_map<std::string, Entry> keys_;
  std::unordered_map<std::string, Place> sections_;
};

/// Reads TOML text. Adds to `findings` what is unknown, of the wrong type or out of range. False where the text is no
/// TOML: nothing is then known of it.
bool read_text(std::string_view toml, Experiment& experiment, Given& given, Findings& findings);
/// Reads "key=value". The same, told as of the command line.
void read_override(const std::string& text, Experiment& experiment, Given& given, Findings& findings);

/// Settings of a MAD task that were not given, from its defaults.
void take_task_defaults(Experiment& experiment, const Given& given);

/// What no single key can tell: missing keys, keys of another kind of task, values that do not fit each other.
/// (rules.cpp)
void check_rules(const Experiment& experiment, const Given& given, Findings& findings);

}  // namespace starling::experiment
