#include "load.hpp"

#include <fmt/format.h>

#include <starling/base/error.hpp>
#include <starling/tasks/find_files.hpp>
#include <starling/tasks/token_shards.hpp>

namespace starling::tools {
namespace {

void resolve_shards(experiment::Experiment& experiment) {
  tasks::TokenStream tokens;
  for (const auto& path : tasks::find_files(experiment.task.files)) tasks::add_shard(path, "task.files", tokens);
  if (experiment.task.vocabulary == 0) {
    throw UserError(
        fmt::format("{}: 'task.vocabulary' is missing: the token shards do not say how many different tokens there are, "
                    "expected 50257 for those of GPT-2",
                    experiment.source));
  }
}

}  // namespace

experiment::Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  auto experiment = experiment::load(file, overrides);
  if (experiment::reads_shards(experiment)) resolve_shards(experiment);
  return experiment;
}

}  // namespace starling::tools
