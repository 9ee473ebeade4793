// One validated value that says everything about a run. Made from TOML by load(); written back with every default by
// to_toml(). The initialisers below are the defaults of the file; keys, ranges and what they mean stand in schema.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <starling/genome/accounting.hpp>
#include <starling/search/steady_state.hpp>

namespace starling::experiment {

struct Task {
  std::string kind;  ///< "language-model" | "mad"
  // language-model
  std::vector<std::string> files;  ///< globs; ** crosses directories; relative ones start at the current directory
  std::string tokenizer = "bytes";
  std::int64_t max_bytes = 0;  ///< of text used, taken file by file in a keyed order; 0 = all
  double validation_fraction = 0.1;
  double test_fraction = 0.1;
  std::int64_t validation_tokens = 0;  ///< cap of the validation part; 0 = all
  // mad
  std::string mad_task;  ///< "in-context-recall"
  std::int64_t vocabulary = 16;
  std::int64_t training_sequences = 12800;
  std::int64_t test_sequences = 1280;
  // both
  std::int64_t sequence_length = 0;

  bool operator==(const Task&) const = default;
};

struct Model {
  std::int64_t depth = 6;
  std::int64_t width = 96;
  std::string catalogue = "liquid";

  bool operator==(const Model&) const = default;
};

struct Search {
  std::string algorithm = "nsga2";  ///< "nsga2" | "random"
  std::string schedule = "steady-state";
  std::vector<std::string> objectives{"quality", "cache"};
  std::int64_t population = 16;
  std::int64_t tournament = 3;
  std::int64_t crossover_points = 2;
  double mutation = 0.1;
  bool require_mixer_and_map = true;
  bool paths = false;
  bool routes = false;
  std::vector<std::string> baselines{"transformer++", "striped-mamba"};

  bool operator==(const Search&) const = default;
};

struct Training {
  std::int64_t tokens = 0;
  std::int64_t batch_tokens = 1024;
  double learning_rate = 8e-4;
  double warmup = 0.1;               ///< share of the steps
  double final_learning_rate = 0.1;  ///< share of the peak
  double weight_decay = 0.1;
  double gradient_clip = 1.0;
  std::string initialization = "glorot";  ///< "glorot" | "he"
  std::string precision = "f32";          ///< "f32" | "bf16"

  bool operator==(const Training&) const = default;
};

struct Workers {
  std::int64_t attempts = 3;
  std::int64_t give_up_after = 5;  ///< killed candidates one after another that end the run
  double deadline_minutes = 60;    ///< least deadline of an evaluation; the real one is max(this, 4 × running mean)

  bool operator==(const Workers&) const = default;
};

struct Experiment {
  std::string source;               ///< file name it came from, for messages; not written back
  std::string name = "experiment";  ///< results go to runs/NAME-N
  std::uint64_t seed = 1;
  std::int64_t workers = 1;
  std::int64_t evaluations = 0;
  Task task;
  Model model;
  Search search;
  Training training;
  Workers worker_options;

  bool operator==(const Experiment&) const = default;
};

/// Reads, applies overrides ("training.tokens=50000": the value as TOML, a bare word is a string), fills in defaults
/// and checks all of it. Throws UserError: "quickstart.toml:12: unknown key 'serch.population' (did you mean
/// 'search.population'?)", for overrides "command line: …". All findings are reported, one per line, in the order of
/// the file. Globs of task.files are not expanded here; relative ones start at the directory the program was started
/// in.
Experiment load(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
/// The same from text; `source` stands in messages.
Experiment parse(std::string_view toml, const std::string& source, const std::vector<std::string>& overrides = {});

/// Complete TOML with every default filled in; parse(to_toml(e)) equals e but for `source`.
std::string to_toml(const Experiment& experiment);

/// One key of the file: the single table that parsing, validation, defaults, help and documentation read.
struct KeyHelp {
  std::string key;            ///< "search.population"
  std::string type;           ///< "integer", "number", "string", "list of strings", "boolean"
  std::string default_value;  ///< "" where the key is required
  std::string range;          ///< "1 … 100000", "nsga2 | random"
  std::string help;           ///< one sentence
};
std::vector<KeyHelp> keys();

/// What the search floor needs of it.
search::SteadyState::Settings search_settings(const Experiment& experiment);
/// Rows of the vocabulary the task will have.
std::int64_t vocabulary(const Experiment& experiment);
genome::Dimensions dimensions(const Experiment& experiment);

}  // namespace starling::experiment
