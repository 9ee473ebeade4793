#include <starling/experiment/schema.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include <starling/experiment/objectives.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/catalogue.hpp>

namespace starling::experiment {
namespace {

constexpr std::int64_t trillion = 1'000'000'000'000;

bool is_run_name(std::string_view text) {
  constexpr std::size_t longest = 64;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= longest && text[0] != '.' && text[0] != '-' && std::ranges::all_of(text, plain);
}

bool is_not_empty(std::string_view text) { return !text.empty(); }

bool is_tokenizer(std::string_view text) {
  constexpr std::string_view suffix = ".model";
  return text == "bytes" || text == "none" || (text.ends_with(suffix) && text.size() > suffix.size());
}

bool is_device(std::string_view text) {
  constexpr std::string_view cuda = "cuda:";
  constexpr std::size_t most_digits = 4;
  if (text == "cpu") return true;
  if (!text.starts_with(cuda)) return false;
  text.remove_prefix(cuda.size());
  const bool leading_zero = text.size() > 1 && text[0] == '0';
  return !text.empty() && text.size() <= most_digits && !leading_zero &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool learns_at_a_constant_rate(const Experiment& e) { return e.training.schedule == "constant"; }

/// Makes the rows of the table readable: `field<&Experiment::task, &Task::files>()`.
template <auto Section, auto Member>
Field field() {
  return +[](Experiment & e) -> auto& { return e.*Section.*Member; };
}
template <auto Member>
Field field() {
  return +[](Experiment & e) -> auto& { return e.*Member; };
}

std::vector<Key> make_schema() {
  using E = Experiment;
  constexpr auto required = Presence::required;
  constexpr auto optional = Presence::optional;
  constexpr auto files = Scope::files;
  constexpr auto text_only = Scope::language_model;
  constexpr auto mad_only = Scope::mad;
  const NumberRange share_inside{0, 1, true, true};
  const NumberRange share{0, 1, false, false};
  return {
      {"name", field<&E::name>(), Form{is_run_name, "1 to 64 letters, digits, '.', '_' or '-' that do not start with '.' or '-'"},
       "Name of the experiment; results go to runs/NAME-N."},
      {"seed", field<&E::seed>(), IntegerRange{0, std::numeric_limits<std::int64_t>::max()},
       "Every random decision of the run follows from it."},
      {"workers", field<&E::workers>(), IntegerRange{1, 1024},
       "Worker processes on this machine, one thread each, where the CPU trains; on GPUs candidates_per_device counts."},
      {"devices", field<&E::devices>(), Form{is_device, "\"cpu\", or \"cuda:0\", \"cuda:1\", …"},
       "What candidates are trained on: the CPU or GPUs. \"auto\" takes every GPU that LibTorch sees, the CPU where it sees none.",
       optional, Scope::every_task, false, "", "auto"},
      {"candidates_per_device", field<&E::candidates_per_device>(), IntegerRange{1, 64},
       "Candidates that share a GPU, each in a process of its own: several of a small width use it better than one."},

      {"budget.evaluations", field<&E::evaluations>(), IntegerRange{1, 1'000'000},
       "Candidates that are trained or fail before the search ends; baselines do not count.", required},

      {"task.kind", field<&E::task, &Task::kind>(), Choice{task_kinds()},
       "What is learned: text from files, a generated MAD task, or columns of numbers from files.", required},
      {"task.files", field<&E::task, &Task::files>(), Form{is_not_empty, "a path or glob"},
       "Files to read; * and ** (across directories) are globs, relative ones start at the current directory. Of text a .jsonl file has "
       "one "
       "document per line, any other is one; a series comes as .csv, .h5 or .hdf5. All but HDF5 may be compressed, .gz or .zst.",
       required, files},
      {"task.columns", field<&E::task, &Task::columns>(), Form{is_not_empty, "the name of a column or dataset"},
       "Columns of the series; of HDF5 the names of datasets, with rows × channels for all channels of one, x[0] for one. Empty: the "
       "columns of "
       "a CSV file that begin with a number.",
       optional, Scope::series, true},
      {"task.text_key", field<&E::task, &Task::text_key>(), Form{is_not_empty, "the name of a key"},
       "Which key of a JSONL file's objects holds the text.", optional, text_only},
      {"task.tokenizer", field<&E::task, &Task::tokenizer>(),
       Form{is_tokenizer, "\"bytes\", a SentencePiece model (PATH.model) or \"none\""},
       "How text becomes tokens; of token shards, what made them, \"none\" (their default) where that is not known.", optional, text_only},
      {"task.separator", field<&E::task, &Task::separator>(), IntegerRange{-1, 65'535},
       "The token between the documents of shards, at which they are divided (GPT-2: 50256); -1 for the tokenizer's, or none.", optional,
       text_only},
      {"task.max_bytes", field<&E::task, &Task::max_bytes>(), IntegerRange{0, trillion},
       "Bytes of text used, document by document in an order that the seed decides; 0 takes all.", optional, text_only},
      {"task.validation_fraction", field<&E::task, &Task::validation_fraction>(), share_inside,
       "Share of the text, by whole documents, or of the rows of each file of a series, that measures quality.", optional, files},
      {"task.test_fraction", field<&E::task, &Task::test_fraction>(), share_inside,
       "Share of the text, by whole documents, or of the rows of each file, its last ones, that the search never looks at.", optional,
       files},
      {"task.validation_tokens", field<&E::task, &Task::validation_tokens>(), IntegerRange{0, trillion},
       "Most tokens, or rows of a series, of the validation part that are scored, and of the test part; 0 scores all.", optional, files},
      {"task.name", field<&E::task, &Task::mad_task>(), Choice{mad_task_names()}, "Which MAD task.", required, mad_only},
      {"task.noise_vocabulary", field<&E::task, &Task::noise_vocabulary>(), IntegerRange{1, 65'536},
       "How many of task.vocabulary are noise.", optional, mad_only, false, "noisy-recall"},
      {"task.noise", field<&E::task, &Task::noise>(), share, "Probability that a key-value pair is noise.", optional, mad_only, false,
       "noisy-recall"},
      {"task.copied", field<&E::task, &Task::copied>(), IntegerRange{1, 524'288}, "Tokens to copy.", optional, mad_only, false,
       "selective-copying"},
      {"task.training_sequences", field<&E::task, &Task::training_sequences>(), IntegerRange{1, 100'000'000},
       "Sequences that are generated for training; where it is not given the paper's: 12,800, memorisation 256.", optional, mad_only},
      {"task.test_sequences", field<&E::task, &Task::test_sequences>(), IntegerRange{1, 100'000'000},
       "Sequences that are generated, separately, to measure accuracy.", optional, mad_only},
      {"task.vocabulary", field<&E::task, &Task::vocabulary>(), IntegerRange{0, 65'536},
       "Tokens there are, the rows of the embedding. 0: of a MAD task the paper's (16, noisy recall 32, memorisation 256), else the "
       "tokenizer's. Shards "
       "that do not say it need it (GPT-2: 50257).",
       optional, Scope::tokens},
      {"task.sequence_length", field<&E::task, &Task::sequence_length>(), IntegerRange{2, 1'048'576},
       "Tokens of a training sequence, and of the sequence that the cache is counted for.", required},

      {"model.depth", field<&E::model, &Model::depth>(), IntegerRange{2, 512}, "LIVs of every candidate."},
      {"model.width", field<&E::model, &Model::width>(), IntegerRange{16, 65'536},
       "Channels; width / (4 · max(1, ⌊width / 256⌋)) is the size of a head and must be a multiple of 4."},
      {"model.catalogue", field<&E::model, &Model::catalogue>(), Choice{genome::Catalogue::names()},
       "The LIV classes that are searched, besides the file's own [[class]] rows; `starling classes` shows them."},
      {"model.band", field<&E::model, &Model::band>(), IntegerRange{1, 1'048'576},
       "Tokens that a token of a banded class sees, itself included, and tokens of a block of a block-diagonal one."},

      {"search.algorithm", field<&E::search, &Search::algorithm>(), Choice{{"nsga2", "random"}},
       "How candidates are chosen: NSGA-II, or random genomes to compare with."},
      {"search.schedule", field<&E::search, &Search::schedule>(), Choice{{"steady-state"}},
       "steady-state breeds a child whenever a worker is free."},
      {"search.objectives", field<&E::search, &Search::objectives>(), Choice{objective_names()}, "What is minimised; one or several."},
      {"search.population", field<&E::search, &Search::population>(), IntegerRange{2, 10'000},
       "Survivors that parents are taken from; the first ones are random genomes."},
      {"search.tournament", field<&E::search, &Search::tournament>(), IntegerRange{1, 10'000},
       "Members that compete to be a parent, at most the population."},
      {"search.crossover_points", field<&E::search, &Search::crossover_points>(), IntegerRange{1, 21'503},
       "Cuts between the genes of two parents, less than the genes of a genome (5 · depth; more with search.paths, search.routes and "
       "search.segments)."},
      {"search.mutation", field<&E::search, &Search::mutation>(), share, "Probability that a gene is drawn anew."},
      {"search.require_mixer_and_map",
       field<&E::search, &Search::require_mixer_and_map>(),
       {},
       "New candidates have at least one token mixer and one position-wise LIV."},
      {"search.paths",
       field<&E::search, &Search::paths>(),
       {},
       "LIVs that follow each other may run in parallel, with learned weights; each has one gene more."},
      {"search.routes",
       field<&E::search, &Search::routes>(),
       {},
       "What a LIV contributes may depend on the token, by a gate with a time constant; each has one gene more."},
      {"search.variable_depth",
       field<&E::search, &Search::variable_depth>(),
       {},
       "A LIV may be empty (class 0), so that candidates have at most model.depth of them."},
      {"search.segments", field<&E::search, &Search::segments>(), Choice{{"backbone", "operator", "featurizer"}},
       "Levels of the genome that evolve; below the backbone every LIV may differ from its class: in the integers of its operator, and of "
       "its "
       "feature groups."},
      {"search.baselines", field<&E::search, &Search::baselines>(), Choice{genome::baseline_names(genome::Catalogue::liquid())},
       "Known architectures that are trained first, on the same budget, to compare with; may be empty.", optional, Scope::every_task, true},

      {"training.tokens", field<&E::training, &Training::tokens>(), IntegerRange{1, 1'000 * trillion},
       "Tokens, or rows of a series, that a candidate is trained on; whole batches, so the last may go beyond.", required},
      {"training.batch_tokens", field<&E::training, &Training::batch_tokens>(), IntegerRange{2, 1'000'000'000},
       "Tokens per step, a multiple of task.sequence_length."},
      {"training.micro_batch_tokens", field<&E::training, &Training::micro_batch_tokens>(), IntegerRange{0, 1'000'000'000},
       "Tokens of a step that are trained on at once, a multiple of task.sequence_length; fewer need less memory and give the same step "
       "but for rounding. 0 takes as many as fit into this worker's share of free memory."},
      {"training.learning_rate", field<&E::training, &Training::learning_rate>(), NumberRange{0, 10, true, false},
       "Peak learning rate of AdamW."},
      {"training.schedule", field<&E::training, &Training::schedule>(), Choice{{"cosine", "linear", "constant"}},
       "How the learning rate falls from its peak to training.final_learning_rate of it after warm-up; constant stays at the peak."},
      {"training.warmup", field<&E::training, &Training::warmup>(), NumberRange{0, 1, false, true},
       "Share of the steps in which the learning rate rises linearly."},
      {"training.final_learning_rate", field<&E::training, &Training::final_learning_rate>(), share,
       "Share of the peak at which the cosine or the line ends.", optional, Scope::every_task, false, "", "",
       Idle{learns_at_a_constant_rate, "training.schedule", "a constant training.schedule stays at the peak"}},
      {"training.weight_decay", field<&E::training, &Training::weight_decay>(), NumberRange{0, 10, false, false},
       "Of weight matrices; norms, biases and kernels have none."},
      {"training.gradient_clip", field<&E::training, &Training::gradient_clip>(), NumberRange{0, 1e6, true, false},
       "Largest norm of the gradient; longer ones are scaled down."},
      {"training.dropout", field<&E::training, &Training::dropout>(), NumberRange{0, 1, false, true},
       "Share of the channels of the embedding, and of what every LIV adds to the residual stream, that training leaves out at random."},
      {"training.recompute",
       field<&E::training, &Training::recompute>(),
       {},
       "Compute activations inside LIVs again in the backward pass instead of keeping them: less memory, more time, the same results."},
      {"training.initialization", field<&E::training, &Training::initialization>(), Choice{{"glorot", "he"}},
       "Spread of the first weights."},
      {"training.precision", field<&E::training, &Training::precision>(), Choice{{"f32", "bf16", "tf32"}},
       "Number format of training; bf16 with weights, sums and states in f32; tf32, of GPUs alone, is f32 whose matrix products round "
       "their factors to 10 bits."},

      {"evaluation.attempts", field<&E::worker_options, &Workers::attempts>(), IntegerRange{1, 100},
       "Attempts that a candidate may lose to dead workers, errors of a device or deadlines before it is given up."},
      {"evaluation.give_up_after", field<&E::worker_options, &Workers::give_up_after>(), IntegerRange{1, 1'000'000},
       "Candidates given up one after another that end the run: what is wrong is not the genomes. Where there are several devices, so many "
       "candidates that lose an attempt on one of them, with nothing finished there in between, end its use."},
      {"evaluation.test",
       field<&E::worker_options, &Workers::test>(),
       {},
       "Measure the front and the baselines on the test part when the search is over; the search itself never looks at it."},
      {"evaluation.deadline_minutes", field<&E::worker_options, &Workers::deadline_minutes>(), NumberRange{0, 1e6, true, false},
       "Least time an evaluation may take; the limit is the larger of this and four times the mean so far."},
  };
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

std::string toml_text(std::int64_t value) { return fmt::format("{}", value); }
std::string toml_text(std::uint64_t value) { return fmt::format("{}", value); }
std::string toml_text(double value) { return toml_number(value); }
std::string toml_text(bool value) { return value ? "true" : "false"; }
std::string toml_text(const std::string& value) { return toml_string(value); }
std::string toml_text(const std::vector<std::string>& value) {
  std::vector<std::string> quoted;
  for (const auto& entry : value) quoted.push_back(toml_string(entry));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

}  // namespace

const std::vector<Key>& schema() {
  static const std::vector<Key> table = make_schema();
  return table;
}

const Key* find_key(std::string_view path) {
  const auto& table = schema();
  const auto found = std::ranges::find(table, path, &Key::path);
  return found == table.end() ? nullptr : &*found;
}

std::string_view section_of(const Key& key) {
  const auto dot = key.path.find('.');
  return dot == std::string::npos ? std::string_view{} : std::string_view{key.path}.substr(0, dot);
}

std::string_view leaf_of(const Key& key) { return std::string_view{key.path}.substr(key.path.find('.') + 1); }

std::vector<std::string> sections() {
  std::vector<std::string> names;
  for (const auto& key : schema()) {
    const auto section = section_of(key);
    if (!section.empty() && (names.empty() || names.back() != section)) names.emplace_back(section);
  }
  return names;
}

std::vector<std::string> task_kinds() { return {"language-model", "mad", "series"}; }

std::vector<std::string> kinds_of(Scope scope) {
  switch (scope) {
    case Scope::every_task:
      return task_kinds();
    case Scope::files:
      return {"language-model", "series"};
    case Scope::tokens:
      return {"language-model", "mad"};
    case Scope::language_model:
      return {"language-model"};
    case Scope::mad:
      return {"mad"};
    case Scope::series:
      return {"series"};
  }
  return {};
}

std::string kinds_text(Scope scope, std::string_view quote, std::string_view between) {
  std::vector<std::string> quoted;
  for (const auto& kind : kinds_of(scope)) quoted.push_back(fmt::format("{0}{1}{0}", quote, kind));
  return fmt::format("{}", fmt::join(quoted, between));
}

bool applies(const Key& key, const Task& task) { return applies(key, task.kind) && (key.only_of.empty() || key.only_of == task.mad_task); }

bool is_saved(const Key& key, const Experiment& experiment) {
  return applies(key, experiment.task) && !(key.idle.when != nullptr && key.idle.when(experiment));
}

bool applies(const Key& key, std::string_view task_kind) {
  if (key.scope == Scope::every_task) return true;
  const auto kinds = kinds_of(key.scope);
  return std::ranges::find(kinds, task_kind) != kinds.end();
}

std::string type_name(const Key& key) {
  return std::visit(Overloaded{
                        [](std::int64_t& (*)(Experiment&)) { return "integer"; },
                        [](std::uint64_t& (*)(Experiment&)) { return "integer"; },
                        [](double& (*)(Experiment&)) { return "number"; },
                        [](bool& (*)(Experiment&)) { return "boolean"; },
                        [](std::string& (*)(Experiment&)) { return "string"; },
                        [](std::vector<std::string>& (*)(Experiment&)) { return "list of strings"; },
                    },
                    key.field);
}

std::string range_text(const Key& key) {
  if (const auto* form = std::get_if<Form>(&key.limits); form != nullptr && !key.word.empty()) {
    return fmt::format("{} | {}", key.word, form->expected);
  }
  return std::visit(Overloaded{
                        [](std::monostate) { return std::string{}; },
                        [](const IntegerRange& range) { return fmt::format("{} … {}", range.least, range.most); },
                        [](const NumberRange& range) {
                          return fmt::format("{}{} … {}{}", range.without_least ? "above " : "", range.least,
                                             range.without_most ? "below " : "", range.most);
                        },
                        [](const Choice& choice) { return fmt::format("{}", fmt::join(choice.names, " | ")); },
                        [](const Form& form) { return form.expected; },
                    },
                    key.limits);
}

std::string toml_value(const Key& key, const Experiment& experiment) {
  auto copy = experiment;  // the table's accessors give references to change
  auto text = std::visit([&copy](auto access) { return toml_text(access(copy)); }, key.field);
  return !key.word.empty() && text == "[]" ? toml_string(key.word) : text;
}

std::string toml_number(double value) {
  auto text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (code < 0x20 || code == 0x7f) {
      quoted += fmt::format("\\u{:04X}", code);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace starling::experiment
