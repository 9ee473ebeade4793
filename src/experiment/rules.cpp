// What no single key can tell: missing keys, keys of another kind of task, values that do not fit each other.
#include <fmt/format.h>

#include <initializer_list>
#include <string_view>

#include <starling/base/error.hpp>
#include <starling/experiment/reader.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/variation.hpp>

namespace starling::experiment {
namespace {

class Rules {
 public:
  Rules(const Experiment& experiment, const Given& given, Findings& findings) : e_(experiment), given_(given), findings_(findings) {}

  void check() {
    kinds();
    missing();
    text_split();
    mad();
    width();
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
        complain({key.path}, fmt::format("'{}' belongs to the MAD task '{}', the task here is '{}'", key.path, key.only_of, e_.task.mad_task));
        continue;
      }
      complain({key.path}, fmt::format("'{}' belongs to kind '{}', the task here is '{}'", key.path, kind_name(key.scope), e_.task.kind));
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

  void text_split() {
    if (!readable({"task.validation_fraction", "task.test_fraction"})) return;
    if (e_.task.validation_fraction + e_.task.test_fraction < 1) return;
    complain({"task.validation_fraction", "task.test_fraction"},
             fmt::format("validation_fraction {} and test_fraction {} leave nothing to train on, expected a sum below 1",
                         e_.task.validation_fraction, e_.task.test_fraction));
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

  void search() {
    if (readable({"search.tournament", "search.population"}) && e_.search.tournament > e_.search.population) {
      complain(
          {"search.tournament", "search.population"},
          fmt::format("a tournament of {} needs more members than search.population = {} has", e_.search.tournament, e_.search.population));
    }
    if (readable({"search.crossover_points", "model.depth", "search.paths", "search.routes"})) {
      const genome::Space space{.paths = e_.search.paths, .routes = e_.search.routes};
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
  if (!given.has("task.vocabulary")) task.vocabulary = defaults.vocabulary;
  if (!given.has("task.training_sequences")) task.training_sequences = defaults.training_sequences;
}

void check_rules(const Experiment& experiment, const Given& given, Findings& findings) { Rules(experiment, given, findings).check(); }

}  // namespace starling::experiment
