// What no single key can tell: missing keys, keys of another kind of task, values that do not fit each other.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/error.hpp>
#include <starling/experiment/class_rows.hpp>
#include <starling/experiment/placement.hpp>
#include <starling/experiment/reader.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/legality.hpp>
#include <starling/genome/variation.hpp>

namespace starling::experiment {
namespace {

class Rules {
 public:
  Rules(const Experiment& experiment, const Given& given, Findings& findings) : e_(experiment), given_(given), findings_(findings) {}

  void check() {
    kinds();
    missing();
    idle();
    devices();
    split();
    mad();
    tokens();
    width();
    classes();
    search();
    training();
  }

 private:
  /// Whether the keys hold values that a rule may read: given and accepted, or with a default.
  bool readable(std::initializer_list<std::string_view> paths) const {
    for (const auto path : paths) {
      const auto& key = *find_key(path);
      if (!applies(key, e_.task) || !given_.sound(path)) return false;
      if (key.presence == Presence::required && !given_.has(path)) return false;
    }
    return true;
  }

  void complain(std::initializer_list<std::string_view> paths, std::string message) {
    findings_.add(given_.place(std::vector<std::string_view>(paths)), std::move(message));
  }

  void kinds() {
    if (!readable({"task.kind"})) return;
    for (const auto& key : schema()) {
      if (applies(key, e_.task) || !given_.has(key.path)) continue;
      if (applies(key, e_.task.kind)) {
        if (!readable({"task.name"})) continue;
        complain({key.path},
                 fmt::format("'{}' belongs to the MAD task '{}', the task here is '{}'", key.path, key.only_of, e_.task.mad_task));
        continue;
      }
      complain({key.path},
               fmt::format("'{}' belongs to kind {}, the task here is '{}'", key.path, kinds_text(key.scope, "'", " or "), e_.task.kind));
    }
  }

  void missing() {
    const bool kind_known = readable({"task.kind"});
    for (const auto& key : schema()) {
      if (key.presence != Presence::required || given_.has(key.path)) continue;
      if (key.scope != Scope::every_task && !(kind_known && applies(key, e_.task.kind))) continue;
      findings_.add(given_.section(section_of(key)), fmt::format("'{}' is missing, expected in section [{}]: {} = {} ({}). {}", key.path,
                                                                 section_of(key), leaf_of(key), type_name(key), range_text(key), key.help));
    }
  }

  void idle() {
    for (const auto& key : schema()) {
      if (key.idle.when == nullptr || !given_.has(key.path) || !readable({key.path, key.idle.beside}) || !key.idle.when(e_)) continue;
      complain({key.path, key.idle.beside}, fmt::format("'{}' is {}, but {}", key.path, toml_value(key, e_), key.idle.because));
    }
  }

  void devices() {
    if (!readable({"devices"}) || !on_gpus(e_) || std::ranges::find(e_.devices, "cpu") == e_.devices.end()) return;
    complain({"devices"}, fmt::format("'devices' is {}, expected \"cpu\" alone or GPUs alone", toml_value(*find_key("devices"), e_)));
  }

  void split() {
    if (!readable({"task.validation_fraction", "task.test_fraction"})) return;
    if (e_.task.validation_fraction + e_.task.test_fraction < 1) return;
    complain({"task.validation_fraction", "task.test_fraction"},
             fmt::format("validation_fraction {} and test_fraction {} leave nothing to train on, expected a sum below 1",
                         e_.task.validation_fraction, e_.task.test_fraction));
  }

  void tokens() {
    if (!readable({"task.files", "task.tokenizer", "task.vocabulary", "task.separator"})) return;
    const auto& task = e_.task;
    if (reads_shards(e_)) {
      for (const auto& glob : task.files) {
        if (glob.ends_with(".bin")) continue;
        complain({"task.files"}, fmt::format("'task.files' names token shards (.bin) and '{}', expected only the ones or the other", glob));
      }
      if (readable({"task.max_bytes"}) && task.max_bytes != 0) {
        complain({"task.max_bytes", "task.files"}, "'task.max_bytes' caps text, but 'task.files' names token shards");
      }
    } else if (task.tokenizer == "none") {
      complain({"task.tokenizer"}, "'task.tokenizer' is \"none\", but 'task.files' names text, which has to become tokens");
    }
    if (task.tokenizer == "bytes" && !(reads_shards(e_) && !given_.has("task.tokenizer"))) {
      if (task.vocabulary != 0 && task.vocabulary < byte_vocabulary) {
        complain({"task.vocabulary"}, fmt::format("'task.vocabulary' is {}, expected at least {}: the bytes and the separator",
                                                  task.vocabulary, byte_vocabulary));
      }
      if (task.separator >= 0 && task.separator != byte_separator) {
        complain({"task.separator"}, fmt::format("'task.separator' is {}, but that of bytes is {}", task.separator, byte_separator));
      }
    }
    if (task.vocabulary > 0 && task.separator >= task.vocabulary) {
      complain({"task.separator", "task.vocabulary"},
               fmt::format("'task.separator' is {}, expected a token below task.vocabulary = {}", task.separator, task.vocabulary));
    }
  }

  void mad() {
    if (!readable({"task.name", "task.vocabulary", "task.sequence_length", "task.training_sequences", "task.test_sequences"})) return;
    const auto options = mad_options(e_);
    for (const auto* path : {"task.noise_vocabulary", "task.noise", "task.copied"}) {
      if (applies(*find_key(path), e_.task) && !readable({path})) return;
    }
    if (const auto wrong = objection(options)) {
      const auto path = fmt::format("task.{}", wrong->field);
      complain({path}, fmt::format("'{}' is {}, expected {}", path, wrong->found, wrong->expected));
    }
  }

  void width() {
    if (!readable({"model.width"})) return;
    try {
      genome::heads_at(e_.model.width);
    } catch (const UserError& error) {
      complain({"model.width"}, fmt::format("'model.width' is {}: {}", e_.model.width, error.what()));
    }
  }

  void classes() {
    if (!readable({"model.catalogue"})) return;
    const auto& rows = e_.model.classes;
    const auto& base = genome::Catalogue::named(e_.model.catalogue);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (auto found = class_objection(base, i); !found.empty()) {
        findings_.add(given_.classes[i], fmt::format("[[class]] '{}': {}", rows[i].liv_class.name, found));
      }
    }
  }

  /// What is wrong with a [[class]] row, or "".
  std::string class_objection(const genome::Catalogue& base, std::size_t i) const {
    const auto& rows = e_.model.classes;
    const auto& [liv_class, own_groups] = rows[i];
    const auto earlier = std::span(rows).first(i);
    if (liv_class.id < 1) return fmt::format("id {} is not in 1 … 32767", liv_class.id);
    const auto same_id = std::ranges::find(earlier, liv_class.id, [](const ClassRow& row) { return row.liv_class.id; });
    if (base.contains(liv_class.id) || same_id != earlier.end()) {
      return fmt::format("id {} is that of {}, expected one of its own", liv_class.id,
                         base.contains(liv_class.id) ? base.at(liv_class.id).name : same_id->liv_class.name);
    }
    const auto is_name = [&](const genome::LivClass& other) { return other.name == liv_class.name; };
    if (std::ranges::any_of(base.classes(), is_name) || std::ranges::any_of(earlier, is_name, &ClassRow::liv_class)) {
      return "there is a class of that name already";
    }
    const int featurizer = liv_class.op.featurizer;
    const auto* const groups = groups_of(rows[i], e_.model);
    if (groups == nullptr) {
      std::vector<int> known;
      for (const auto& other : base.featurizers()) known.push_back(other.id);
      return fmt::format("there is no featurizer {}, expected one of the catalogue ({}) or groups of its own", featurizer,
                         fmt::join(known, ", "));
    }
    if (!own_groups.empty()) {
      const auto has_id = [&](const genome::Featurizer& other) { return other.id == featurizer; };
      const auto defines = [&](const ClassRow& row) { return !row.groups.empty() && row.liv_class.op.featurizer == featurizer; };
      if (featurizer < 1 || std::ranges::any_of(base.featurizers(), has_id) || std::ranges::any_of(earlier, defines)) {
        return fmt::format("featurizer {} cannot be defined here, expected a first integer of operator that no featurizer has", featurizer);
      }
    }
    if (auto reason = genome::objection(liv_class.op, *groups, liv_class.differential); !reason.empty()) return reason;
    return width_is_legal() ? genome::objection_at(e_.model.width, liv_class.op, *groups) : "";
  }

  bool width_is_legal() const {
    if (!readable({"model.width"})) return false;
    try {
      genome::heads_at(e_.model.width);
      return true;
    } catch (const UserError&) {
      return false;  // told elsewhere
    }
  }

  void search() {
    if (readable({"search.tournament", "search.population"}) && e_.search.tournament > e_.search.population) {
      complain(
          {"search.tournament", "search.population"},
          fmt::format("a tournament of {} needs more members than search.population = {} has", e_.search.tournament, e_.search.population));
    }
    if (readable({"search.segments"}) && !evolves(e_.search, "backbone")) {
      complain({"search.segments"},
               fmt::format("'search.segments' is [\"{}\"], expected \"backbone\" in it: operators and featurizers evolve besides it",
                           fmt::join(e_.search.segments, "\", \"")));
    }
    if (readable({"search.crossover_points", "model.depth", "search.paths", "search.routes", "search.segments"})) {
      const genome::Space space{.paths = e_.search.paths,
                                .routes = e_.search.routes,
                                .operators = evolves(e_.search, "operator"),
                                .featurizers = evolves(e_.search, "featurizer")};
      const auto genes = static_cast<std::int64_t>(genome::searched_genes(space).size()) * e_.model.depth;
      if (e_.search.crossover_points < 1 || e_.search.crossover_points >= genes) {
        complain({"search.crossover_points", "model.depth"},
                 fmt::format("'search.crossover_points' is {}, but a genome of {} LIVs has {} places between its genes",
                             e_.search.crossover_points, e_.model.depth, genes - 1));
      }
    }
    if (readable({"search.algorithm", "search.population", "budget.evaluations"}) && e_.search.algorithm != "random" &&
        e_.evaluations <= e_.search.population) {
      complain({"search.population", "budget.evaluations"},
               fmt::format("{} evaluations and a population of {}: nothing would ever be bred, expected budget.evaluations above "
                           "search.population",
                           e_.evaluations, e_.search.population));
    }
  }

  void training() {
    if (readable({"training.batch_tokens", "task.sequence_length"}) && e_.training.batch_tokens % e_.task.sequence_length != 0) {
      complain({"training.batch_tokens", "task.sequence_length"},
               fmt::format("'training.batch_tokens' is {}, expected a multiple of task.sequence_length = {}", e_.training.batch_tokens,
                           e_.task.sequence_length));
    }
    if (readable({"training.tokens", "training.batch_tokens"}) && e_.training.tokens < e_.training.batch_tokens) {
      complain({"training.tokens", "training.batch_tokens"},
               fmt::format("'training.tokens' is {}, expected at least one batch: training.batch_tokens = {}", e_.training.tokens,
                           e_.training.batch_tokens));
    }
    if (readable({"training.micro_batch_tokens", "training.batch_tokens", "task.sequence_length"}) && e_.training.micro_batch_tokens != 0) {
      const auto micro = e_.training.micro_batch_tokens;
      if (micro % e_.task.sequence_length != 0 || micro > e_.training.batch_tokens) {
        complain({"training.micro_batch_tokens", "training.batch_tokens", "task.sequence_length"},
                 fmt::format("'training.micro_batch_tokens' is {}, expected 0 or a multiple of task.sequence_length = {} of at most "
                             "training.batch_tokens = {}",
                             micro, e_.task.sequence_length, e_.training.batch_tokens));
      }
    }
    if (readable({"training.precision", "devices"}) && e_.training.precision == "tf32" && !e_.devices.empty() && !on_gpus(e_)) {
      complain({"training.precision", "devices"},
               "'training.precision' is \"tf32\", which GPUs alone have, and 'devices' is [\"cpu\"]; expected \"f32\" or \"bf16\"");
    }
  }

  const Experiment& e_;
  const Given& given_;
  Findings& findings_;
};

}  // namespace

void take_task_defaults(Experiment& experiment, const Given& given) {
  auto& task = experiment.task;
  const auto which = mad_task_named(task.mad_task);
  if (task.kind != "mad" || !which) return;
  const auto defaults = mad_defaults(*which);
  if (task.vocabulary == 0) task.vocabulary = defaults.vocabulary;
  if (!given.has("task.training_sequences")) task.training_sequences = defaults.training_sequences;
}

void check_rules(const Experiment& experiment, const Given& given, Findings& findings) { Rules(experiment, given, findings).check(); }

}  // namespace starling::experiment
