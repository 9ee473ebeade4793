// What no single key can tell: missing keys, keys of another kind of task, values that do not fit each other.
#include <fmt/format.h>

#include <initializer_list>
#include <string_view>

#include <starling/base/byte_tokens.hpp>
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
    tokens();
    recall();
    width();
    search();
    training();
  }

 private:
  /// Whether the keys hold values that a rule may read: given and accepted, or with a default.
  bool readable(std::initializer_list<std::string_view> paths) const {
    for (const auto path : paths) {
      const auto& key = *find_key(path);
      if (!applies(key, e_.task.kind) || !given_.sound(path)) return false;
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
      if (applies(key, e_.task.kind) || !given_.has(key.path)) continue;
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

  void recall() {
    if (!readable({"task.name", "task.vocabulary"})) return;
    if (e_.task.vocabulary != 0 && (e_.task.vocabulary % 2 != 0 || e_.task.vocabulary < 4)) {
      complain({"task.vocabulary"},
               fmt::format("'task.vocabulary' is {}, expected an even number of at least 4: one half are keys, the other values",
                           e_.task.vocabulary));
    }
    if (!readable({"task.sequence_length"})) return;
    if (e_.task.sequence_length % 2 != 0 || e_.task.sequence_length < 4) {
      complain({"task.sequence_length"}, fmt::format("'task.sequence_length' is {}, expected an even number of at "
                                                     "least 4: the sequence is made of key–value pairs",
                                                     e_.task.sequence_length));
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

void check_rules(const Experiment& experiment, const Given& given, Findings& findings) { Rules(experiment, given, findings).check(); }

}  // namespace starling::experiment
