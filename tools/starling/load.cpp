#include "load.hpp"

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/tasks/column_file.hpp>
#include <starling/tasks/find_files.hpp>
#include <starling/tasks/sentence_piece.hpp>
#include <starling/tasks/token_data.hpp>
#include <starling/tasks/token_shards.hpp>

namespace starling::tools {
namespace {

/// There are `tokens` of them, which task.vocabulary may round up but not cut off.
void resolve_vocabulary(experiment::Experiment& experiment, std::int64_t tokens, const std::string& of) {
  auto& vocabulary = experiment.task.vocabulary;
  if (vocabulary == 0) vocabulary = tokens;
  if (vocabulary >= tokens) return;
  throw UserError(fmt::format("{}: 'task.vocabulary' is {}, but {} has {} tokens", experiment.source, vocabulary, of, tokens));
}

void resolve_tokenizer(experiment::Experiment& experiment) {
  const auto tokenizer = tasks::open_sentence_piece(experiment.task.tokenizer);
  resolve_vocabulary(experiment, tokenizer->vocabulary(), experiment.task.tokenizer);
  auto& separator = experiment.task.separator;
  if (separator < 0) separator = tokenizer->separator();
  if (separator < experiment.task.vocabulary) return;
  throw UserError(fmt::format("{}: 'task.separator' is {}, expected a token below task.vocabulary = {}", experiment.source, separator,
                              experiment.task.vocabulary));
}

/// The parts of packed tokens are what they are. A run's own file writes the default down.
void require_undivided(const experiment::Experiment& experiment, std::string_view key, double share, double by_default) {
  if (share == by_default) return;
  throw UserError(fmt::format("{}: '{}' is {}, but the tokens in task.files were divided when they were packed: expected no such key",
                              experiment.source, key, share));
}

void resolve_shards(experiment::Experiment& experiment) {
  auto& task = experiment.task;
  const auto shards = tasks::find_shards(task.files);
  tasks::TokenStream tokens;
  for (const auto& path : shards) tasks::add_shard(path, "task.files", tokens);
  const auto index = tasks::index_of_shards(shards);
  if (index && task.tokenizer != "none" && (task.tokenizer == "bytes") != (index->tokenizer == "bytes")) {
    throw UserError(fmt::format("{}: 'task.tokenizer' is \"{}\", but the tokens in task.files are {}, expected no such key, or \"none\"",
                                experiment.source, task.tokenizer, index->tokenizer == "bytes" ? "bytes" : "of a SentencePiece model"));
  }
  if (task.tokenizer.ends_with(".model")) resolve_tokenizer(experiment);
  if (index) {
    resolve_vocabulary(experiment, index->vocabulary, "what stands in task.files");
    if (task.separator >= 0 && task.separator != index->separator) {
      throw UserError(
          fmt::format("{}: 'task.separator' is {}, but that of task.files is {}", experiment.source, task.separator, index->separator));
    }
    require_undivided(experiment, "task.validation_fraction", task.validation_fraction, experiment::Task().validation_fraction);
    require_undivided(experiment, "task.test_fraction", task.test_fraction, experiment::Task().test_fraction);
    task.separator = index->separator;
    if (task.tokenizer == "none") {
      task.tokenizer = index->tokenizer == "bytes" ? "bytes" : (shards.front().parent_path() / index->tokenizer).string();
    }
  }
  if (task.vocabulary == 0) {
    throw UserError(
        fmt::format("{}: 'task.vocabulary' is missing: the token shards do not say how many different tokens there are, "
                    "expected 50257 for those of GPT-2",
                    experiment.source));
  }
}

}  // namespace

experiment::Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  auto experiment = experiment::load(file, overrides);
  auto& task = experiment.task;
  if (task.kind == "series") task.columns = tasks::series_columns(tasks::find_files(task.files), task.columns);
  if (task.kind != "language-model") return experiment;
  if (experiment::reads_shards(experiment)) {
    resolve_shards(experiment);
  } else if (task.tokenizer.ends_with(".model")) {
    resolve_tokenizer(experiment);
  }
  return experiment;
}

}  // namespace starling::tools
