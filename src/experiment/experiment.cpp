#include <starling/experiment/experiment.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/error.hpp>
#include <starling/experiment/class_rows.hpp>
#include <starling/experiment/objectives.hpp>
#include <starling/experiment/reader.hpp>
#include <starling/experiment/schema.hpp>

namespace starling::experiment {
namespace {

std::string file_text(const std::filesystem::path& file) {
  // Enough for any experiment; a data file or /dev/zero given by mistake ends here.
  constexpr std::size_t most_bytes = 1 << 20;
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw UserError(fmt::format("{}: there is no such file, expected an experiment in TOML", file.string()));
  }
  if (std::filesystem::is_directory(status)) {
    throw UserError(fmt::format("{}: is a directory, expected an experiment in TOML", file.string()));
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw UserError(fmt::format("{}: cannot be opened: {}", file.string(), std::generic_category().message(errno)));
  std::string text(most_bytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw UserError(fmt::format("{}: cannot be read", file.string()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > most_bytes) throw UserError(fmt::format("{}: is larger than 1 MiB, expected an experiment in TOML", file.string()));
  return text;
}

/// Defaults of text that depend on other keys.
void fill_in(Experiment& experiment, const Given& given) {
  auto& task = experiment.task;
  if (task.kind != "language-model") return;
  if (reads_shards(experiment) && !given.has("task.tokenizer")) task.tokenizer = "none";
  if (task.tokenizer != "bytes") return;
  if (task.vocabulary == 0) task.vocabulary = byte_vocabulary;
  if (task.separator < 0) task.separator = byte_separator;
}

}  // namespace

Experiment load(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  return parse(file_text(file), file.string(), overrides);
}

Experiment parse(std::string_view toml, const std::string& source, const std::vector<std::string>& overrides) {
  Experiment experiment;
  experiment.source = source;
  Given given;
  Findings findings(source);
  if (read_text(toml, experiment, given, findings)) {
    for (const auto& text : overrides) read_override(text, experiment, given, findings);
    take_task_defaults(experiment, given);
    check_rules(experiment, given, findings);
    fill_in(experiment, given);
  }
  findings.raise();
  return experiment;
}

std::string to_toml(const Experiment& experiment) {
  std::string text;
  std::string_view section;
  for (const auto& key : schema()) {
    if (!is_saved(key, experiment)) continue;
    if (section_of(key) != section) {
      section = section_of(key);
      text += fmt::format("\n[{}]\n", section);
    }
    text += fmt::format("{} = {}\n", leaf_of(key), toml_value(key, experiment));
  }
  return text + classes_to_toml(experiment.model.classes);
}

std::vector<KeyHelp> keys() {
  std::vector<KeyHelp> rows;
  for (const auto& key : schema()) {
    const auto value = key.presence == Presence::required ? std::string{} : toml_value(key, Experiment{});
    auto scope = key.scope == Scope::every_task ? std::string{} : fmt::format(" (kind {})", kinds_text(key.scope, "\"", " or "));
    if (!key.only_of.empty()) scope = fmt::format(" (MAD task \"{}\")", key.only_of);
    rows.push_back({key.path, type_name(key), value, range_text(key), key.help + scope});
  }
  return rows;
}

search::SteadyState::Settings search_settings(const Experiment& experiment) {
  search::SteadyState::Settings settings;
  auto& breeding = settings.breeding;
  breeding.algorithm = experiment.search.algorithm == "random" ? search::Algorithm::random : search::Algorithm::nsga2;
  breeding.seed = experiment.seed;
  breeding.population = static_cast<std::size_t>(experiment.search.population);
  breeding.tournament = static_cast<int>(experiment.search.tournament);
  breeding.crossover_points = static_cast<int>(experiment.search.crossover_points);
  breeding.mutation = experiment.search.mutation;
  breeding.space.catalogue = &catalogue(experiment);
  breeding.space.depth = static_cast<std::size_t>(experiment.model.depth);
  breeding.space.require_mixer_and_map = experiment.search.require_mixer_and_map;
  breeding.space.paths = experiment.search.paths;
  breeding.space.routes = experiment.search.routes;
  breeding.space.variable_depth = experiment.search.variable_depth;
  breeding.space.operators = evolves(experiment.search, "operator");
  breeding.space.featurizers = evolves(experiment.search, "featurizer");
  breeding.space.width = experiment.model.width;
  settings.objectives = experiment.search.objectives.size();
  settings.evaluations = static_cast<std::uint64_t>(experiment.evaluations);
  settings.attempts = static_cast<std::uint32_t>(experiment.worker_options.attempts);
  return settings;
}

bool evolves(const Search& search, std::string_view segment) {
  return std::ranges::find(search.segments, segment) != search.segments.end();
}

MadOptions mad_options(const Experiment& experiment) {
  const auto& task = experiment.task;
  return {.task = mad_task_named(task.mad_task).value_or(MadTask::in_context_recall),
          .vocabulary = task.vocabulary,
          .sequence_length = task.sequence_length,
          .training_sequences = task.training_sequences,
          .test_sequences = task.test_sequences,
          .noise_vocabulary = task.noise_vocabulary,
          .noise = task.noise,
          .copied = task.copied,
          .seed = experiment.seed};
}

Training in_positions(const Experiment& experiment) {
  auto training = experiment.training;
  if (experiment.task.kind != "mad") return training;
  const auto length = experiment.task.sequence_length;
  const auto positions = starling::positions(mad_options(experiment));
  training.tokens = (training.tokens * positions + length - 1) / length;
  training.batch_tokens = training.batch_tokens / length * positions;
  training.micro_batch_tokens = training.micro_batch_tokens / length * positions;
  return training;
}

bool reads_shards(const Experiment& experiment) {
  const auto& files = experiment.task.files;
  return std::ranges::any_of(files, [](const std::string& glob) { return glob.ends_with(".bin"); });
}

std::int64_t vocabulary(const Experiment& experiment) {
  if (experiment.task.vocabulary > 0) return experiment.task.vocabulary;
  throw UserError(fmt::format("{}: 'task.vocabulary' is missing, and neither tokenizer nor shards were asked for it", experiment.source));
}

const std::vector<std::string>& columns(const Experiment& experiment) {
  if (!experiment.task.columns.empty()) return experiment.task.columns;
  throw UserError(fmt::format("{}: 'task.columns' is missing, and the files were not asked for them", experiment.source));
}

genome::Dimensions dimensions(const Experiment& experiment) {
  const bool series = experiment.task.kind == "series";
  genome::Dimensions dimensions{experiment.model.width, experiment.task.sequence_length, series ? 0 : vocabulary(experiment),
                                experiment.model.band};
  if (series) dimensions.channels = std::ssize(columns(experiment));
  dimensions.reconstructs = experiment.task.kind == "mad" && mad_options(experiment).task == MadTask::compression;
  return dimensions;
}

}  // namespace starling::experiment
