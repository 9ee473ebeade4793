// One validated value that says everything about a run. Made from TOML by load(); written back with every default by
// to_toml(). The initialisers below are the defaults of the file; keys, ranges and what they mean stand in schema.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <starling/base/mad_options.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/search/steady_state.hpp>

namespace starling::experiment {

struct Task {
  std::string kind;  ///< "language-model" | "mad" | "series"
  // language-model and series
  std::vector<std::string> files;  ///< globs; ** crosses directories; relative ones start at the current directory
  double validation_fraction = 0.1;
  double test_fraction = 0.1;
  std::int64_t validation_tokens = 0;  ///< cap of the validation part, of a series in rows; 0 = all
  // language-model
  std::string text_key = "text";    ///< of the objects in JSONL files
  std::string tokenizer = "bytes";  ///< "bytes" | PATH.model | "none": shards whose tokens mean nothing known
  std::int64_t separator = -1;      ///< token between documents; -1 = as the tokenizer or the shards have it, or unknown
  std::int64_t max_bytes = 0;       ///< of text used, taken file by file in a keyed order; 0 = all
  // series
  std::vector<std::string> columns;  ///< empty: those that the files suggest, which whoever starts a run fills in
  // mad
  std::string mad_task;  ///< a name of mad_task_names()
  std::int64_t training_sequences = 12'800;
  std::int64_t test_sequences = 1'280;
  std::int64_t noise_vocabulary = 16;
  double noise = 0.2;
  std::int64_t copied = 16;
  // language-model and mad
  std::int64_t vocabulary = 0;  ///< rows of the embedding; 0 = as the tokenizer or the shards have it
  // all
  std::int64_t sequence_length = 0;

  bool operator==(const Task&) const = default;
};

/// A [[class]] row: a class that the file adds to its catalogue.
struct ClassRow {
  genome::LivClass liv_class;
  std::vector<genome::FeatureGroup> groups;  ///< where the row defines its featurizer; else one that is there has the id

  bool operator==(const ClassRow&) const = default;
};

struct Model {
  std::int64_t depth = 6;
  std::int64_t width = 96;
  std::string catalogue = "liquid";
  std::int64_t band = 256;          ///< tokens that banded and block-diagonal classes see
  std::vector<ClassRow> classes{};  ///< of the file's own

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
  bool variable_depth = false;
  std::vector<std::string> baselines{"transformer++", "striped-mamba"};
  std::vector<std::string> segments{"backbone"};  ///< that evolve: "backbone", "operator", "featurizer"

  bool operator==(const Search&) const = default;
};

struct Training {
  std::int64_t tokens = 0;
  std::int64_t batch_tokens = 1024;
  std::int64_t micro_batch_tokens = 0;  ///< 0 = as memory allows
  double learning_rate = 8e-4;
  std::string schedule = "cosine";   ///< "cosine" | "linear" | "constant"
  double warmup = 0.1;               ///< share of the steps
  double final_learning_rate = 0.1;  ///< share of the peak
  double weight_decay = 0.1;
  double gradient_clip = 1.0;
  double dropout = 0;
  bool recompute = false;
  std::string initialization = "glorot";  ///< "glorot" | "he"
  std::string precision = "f32";          ///< "f32" | "bf16" | "tf32"

  bool operator==(const Training&) const = default;
};

struct Workers {
  std::int64_t attempts = 3;
  std::int64_t give_up_after = 5;  ///< killed candidates one after another that end the run
  bool test = true;                ///< measure front and baselines on the test part when the search is over
  double deadline_minutes = 60;    ///< least deadline of an evaluation; the real one is max(this, 4 × running mean)

  bool operator==(const Workers&) const = default;
};

struct Experiment {
  std::string source;               ///< file name it came from, for messages; not written back
  std::string name = "experiment";  ///< results go to runs/NAME-N
  std::uint64_t seed = 1;
  std::int64_t workers = 1;                ///< processes, where the CPU trains
  std::vector<std::string> devices;        ///< "cpu", or "cuda:0", "cuda:1", …; empty: "auto", which whoever starts a run fills in
  std::int64_t candidates_per_device = 1;  ///< processes on each GPU
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

/// The classes of the experiment: its catalogue and its own rows. Lives as long as the program; equal experiments have the
/// same one.
const genome::Catalogue& catalogue(const Experiment& experiment);

/// Complete TOML with every default filled in; parse(to_toml(e)) equals e but for `source`.
std::string to_toml(const Experiment& experiment);

/// The task.kind in the TOML of a run, "" where it says none: enough to know what its losses are, whatever else the text holds.
std::string task_kind(std::string_view toml);

/// One key of the file: the single table that parsing, validation, defaults, help and documentation read.
struct KeyHelp {
  std::string key;            ///< "search.population"
  std::string type;           ///< "integer", "number", "string", "list of strings", "boolean"
  std::string default_value;  ///< "" where the key is required
  std::string range;          ///< "1 … 100000", "nsga2 | random"
  std::string help;           ///< one sentence
};
std::vector<KeyHelp> keys();
/// The keys of [[class]] rows and of their groups.
std::vector<KeyHelp> class_keys();

/// Whether search.segments names it.
bool evolves(const Search& search, std::string_view segment);

/// What the search floor needs of it.
search::SteadyState::Settings search_settings(const Experiment& experiment);
/// The settings of a MAD task; only where task.kind is "mad".
MadOptions mad_options(const Experiment& experiment);
/// Its training with tokens and batches in positions that are trained on: in some MAD tasks the last token of a sequence is only an answer.
Training in_positions(const Experiment& experiment);
/// Whether task.files names token shards, not text: globs that end in .bin.
bool reads_shards(const Experiment& experiment);
/// Rows of the embedding: task.vocabulary, which parse() fills in for bytes and MAD tasks, and whoever starts a run for the rest, from the
/// tokenizer or the shards (the experiment that a run saves has it). Throws UserError where neither has happened.
std::int64_t vocabulary(const Experiment& experiment);
/// The columns of a series, which whoever starts a run fills in where the file names none, and matrices one by one. Throws UserError where
/// there are none.
const std::vector<std::string>& columns(const Experiment& experiment);
/// The sizes of a model for the experiment's task. Throws UserError: see vocabulary() and columns().
genome::Dimensions dimensions(const Experiment& experiment);

}  // namespace starling::experiment
