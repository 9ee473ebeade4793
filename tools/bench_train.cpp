// One side of `tools/bench train`: trains a genome with Starling's trainer and writes down everything that another implementation needs to
// repeat it: DIRECTORY/{model.json, weights.f32, tokens.i64} before, result.json after.
#include <starling/genome/baselines.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/model/model.hpp>
#include <starling/tasks/make_task.hpp>
#include <starling/tasks/task.hpp>
#include <starling/training/process.hpp>
#include <starling/training/trainer.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <starling/base/error.hpp>

namespace {

using namespace starling;
using nlohmann::json;

struct Arguments {
  std::filesystem::path directory;
  std::string genome;
  std::vector<std::string> files;
  std::int64_t depth = 6;
  std::int64_t width = 96;
  std::int64_t length = 256;
  std::int64_t steps = 40;
  training::Options training{.batch_tokens = 1024, .learning_rate = 2e-3};
  std::uint64_t seed = 1;
  std::string precision = "f32";
};

template <class T>
void append(std::ofstream& file, const T* data, std::int64_t count) {
  file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(count * static_cast<std::int64_t>(sizeof(T))));
}

std::ofstream create(const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::binary);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  return file;
}

void export_start(const Arguments& arguments, const genome::Genome& genome, const model::Model& model, const tasks::Task& task) {
  const auto& catalogue = genome::Catalogue::liquid();
  json livs = json::array();
  for (const genome::Liv& liv : genome.livs) {
    livs.push_back({{"class", catalogue.at(liv.liv_class).name},
                    {"featurizer_group", liv.featurizer_group},
                    {"featurizer_strategy", liv.featurizer_strategy},
                    {"feature_group", liv.feature_group},
                    {"feature_strategy", liv.feature_strategy}});
  }
  json weights = json::array();
  std::ofstream values = create(arguments.directory / "weights.f32");
  for (const operators::Parameter& parameter : model.parameters()) {
    weights.push_back({{"name", parameter.name}, {"shape", parameter.value.sizes().vec()}, {"decay", parameter.decay}});
    append(values, parameter.value.data_ptr<float>(), parameter.value.numel());
  }
  const auto [sequences, steps] = training::extent(arguments.training, task.sequence_length());
  std::ofstream tokens = create(arguments.directory / "tokens.i64");
  for (std::int64_t step = 0; step < steps; ++step) {
    const tasks::Batch batch = task.training_batch(arguments.seed, step, sequences);
    append(tokens, batch.inputs.data_ptr<std::int64_t>(), batch.inputs.numel());
    append(tokens, batch.targets.data_ptr<std::int64_t>(), batch.targets.numel());
  }
  const training::Options& options = arguments.training;
  create(arguments.directory / "model.json") << json{{"livs", livs},
                                                     {"width", arguments.width},
                                                     {"length", arguments.length},
                                                     {"heads", genome::heads_at(arguments.width)},
                                                     {"vocabulary", task.vocabulary()},
                                                     {"precision", arguments.precision},
                                                     {"weights", weights},
                                                     {"steps", steps},
                                                     {"sequences", sequences},
                                                     {"learning_rate", options.learning_rate},
                                                     {"warmup", options.warmup},
                                                     {"final_learning_rate", options.final_learning_rate},
                                                     {"weight_decay", options.weight_decay},
                                                     {"gradient_clip", options.gradient_clip},
                                                     {"betas", {options.beta1, options.beta2}}};
}

int run(Arguments& arguments) {
  training::tune_process(1);
  arguments.training.tokens = arguments.steps * arguments.training.batch_tokens;
  const auto& catalogue = genome::Catalogue::liquid();
  const genome::Genome genome = genome::genome_or_baseline(catalogue, arguments.genome, static_cast<std::size_t>(arguments.depth));
  const auto task = tasks::make_task(tasks::LanguageModelOptions{
      .files = arguments.files, .sequence_length = arguments.length, .max_bytes = 2'000'000, .seed = arguments.seed});
  model::Model model(catalogue, genome, {arguments.width, arguments.length, task->vocabulary()}, arguments.seed,
                     model::Model::Initialization::glorot, arguments.precision == "bf16" ? at::kBFloat16 : at::kFloat);
  export_start(arguments, genome, model, *task);

  const std::atomic<bool> stop{false};
  std::vector<double> losses;
  std::vector<double> elapsed;
  const training::Result result =
      training::train(model, *task, arguments.training, arguments.seed, stop, [&](const training::Point& point, std::int64_t) {
        losses.push_back(point.train_loss);
        elapsed.push_back(point.elapsed_s);
      });
  if (result.end != training::End::completed) throw Failure("training diverged: " + result.reason);
  create(arguments.directory / "result.json") << json{{"losses", losses}, {"elapsed_s", elapsed}};
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Trains one genome and writes its start, batches and losses to a directory");
  app.add_option("directory", arguments.directory)->required();
  app.add_option("genome", arguments.genome, "text form or the name of a baseline")->required();
  app.add_option("--files", arguments.files, "globs of text")->required();
  app.add_option("--depth", arguments.depth, "LIVs of a baseline")->capture_default_str();
  app.add_option("--width", arguments.width)->capture_default_str();
  app.add_option("--length", arguments.length)->capture_default_str();
  app.add_option("--steps", arguments.steps)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch-tokens", arguments.training.batch_tokens)->capture_default_str();
  app.add_option("--precision", arguments.precision)->capture_default_str()->check(CLI::IsMember({"f32", "bf16"}));
  CLI11_PARSE(app, argc, argv);
  try {
    return run(arguments);
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
