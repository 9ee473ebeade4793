// Starling's side of a comparison with PyTorch (`tools/bench cpu`, `tools/bench gpu`, tests/quality): a genome, its first weights and its batches are written
// to DIRECTORY/{model.json, weights.f32, tokens.i64}, for another implementation to train from. Then every line of standard input is
// answered by one line of JSON:
//   train    trains from that start, anew each time: {"losses": one a step, "seconds": one a step, "micro_batch_tokens",
//            "peak_memory_bytes"}
//   product  multiplies matrices for a while: {"flops": per second, of the fastest product}, in the precision of the training
#include <starling/genome/accounting.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/variation.hpp>
#include <starling/model/model.hpp>
#include <starling/tasks/make_task.hpp>
#include <starling/tasks/task.hpp>
#include <starling/training/device.hpp>
#include <starling/training/process.hpp>
#include <starling/training/trainer.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>

namespace {

using namespace starling;
using nlohmann::json;

struct Arguments {
  std::filesystem::path directory;
  std::string genome;
  std::vector<std::string> files;
  std::int64_t words = 0;  ///< of random tokens, where there are no files
  std::string device = "cpu";
  std::int64_t depth = 6;
  std::int64_t width = 128;
  std::int64_t length = 256;
  std::int64_t steps = 40;
  training::Options training{.batch_tokens = 2048};
  std::uint64_t seed = 1;
  std::string precision = "f32";

  at::Device place() const { return training::device_named(device); }
  at::ScalarType type() const { return precision == "bf16" ? at::kBFloat16 : at::kFloat; }
};

/// Tokens that mostly follow from the one before, of as many words as one likes.
class RandomTokens final : public tasks::Task {
 public:
  RandomTokens(std::int64_t words, std::int64_t length) : words_(words), length_(length) {}

  std::int64_t vocabulary() const override { return words_; }
  std::int64_t sequence_length() const override { return length_; }
  tasks::Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    const auto tokens = at::empty({sequences, length_ + 1}, at::kLong);
    Stream stream(seed, Purpose::task_data, static_cast<std::uint64_t>(step));
    auto* token = tokens.data_ptr<std::int64_t>();
    std::int64_t now = 0;
    for (std::int64_t i = 0; i < tokens.numel(); ++i) {
      // Every eighth is drawn.
      now = stream() % 8 == 0 ? static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(words_))) : (now * 3 + 2) % words_;
      *token++ = now;
    }
    return {tokens.narrow(1, 0, length_).contiguous(), tokens.narrow(1, 1, length_).contiguous()};
  }
  std::int64_t held_out_batches(tasks::Split, std::int64_t) const override { return 0; }
  tasks::Batch held_out_batch(tasks::Split, std::int64_t, std::int64_t) const override { throw std::logic_error("nothing is held out"); }
  std::int64_t held_out_bytes(tasks::Split) const override { return 0; }
  bool scored_by_accuracy() const override { return false; }
  std::vector<tasks::ReferenceLoss> references() const override { return {}; }
  std::string summary() const override { return "random tokens"; }

 private:
  std::int64_t words_;
  std::int64_t length_;
};

/// All that a training starts from.
struct Start {
  const genome::Catalogue& catalogue;
  genome::Genome genome;
  std::shared_ptr<const tasks::Task> task;
  genome::Dimensions dimensions;
};

/// A baseline's name, a genome in text form, or "random-SEED": sampled as a search samples its first candidates.
genome::Genome genome_of(const genome::Catalogue& catalogue, const std::string& text, std::size_t depth) {
  const std::string_view random = "random-";
  if (!text.starts_with(random)) return genome::genome_or_baseline(catalogue, text, depth);
  std::uint64_t seed = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + random.size(), end, seed);
  if (error != std::errc() || rest != end) throw UserError("genome '" + text + "': a number is expected behind 'random-'");
  Stream stream(seed, Purpose::sample);
  return genome::sample({.catalogue = &catalogue, .depth = depth}, stream);
}

template <class T>
void append(std::ofstream& file, const T* data, std::int64_t count) {
  file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(count * static_cast<std::int64_t>(sizeof(T))));
}

std::ofstream create(const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::binary);
  file.exceptions(std::ios::badbit | std::ios::failbit);
  return file;
}

/// The LIVs as the plan of sharing has them: who has the weights, whose features are read, and which.
json livs_of(const Start& start) {
  json livs = json::array();
  for (const genome::LivPlan& plan : genome::make_plan(start.catalogue, start.genome).livs) {
    if (plan.path_size > 1 || plan.routed || plan.derived) {
      throw UserError("genome '" + genome::to_text(start.genome) + "': paths, routes and segments have no counterpart in PyTorch here");
    }
    const auto& groups = start.catalogue.featurizer_of(*plan.liv_class).groups;
    json reads = json::array();
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (plan.reads >> i & 1u) reads.push_back(groups[i].name);
    }
    livs.push_back(
        {{"class", plan.liv_class->name}, {"weight_owner", plan.weight_owner}, {"feature_owner", plan.feature_owner}, {"reads", reads}});
  }
  return livs;
}

model::Model model_of(const Start& start, const Arguments& arguments, const at::Device& device) {
  return {start.catalogue, start.genome, start.dimensions, arguments.seed, model::Model::Initialization::glorot, arguments.type(), device};
}

void export_start(const Start& start, const Arguments& arguments) {
  const model::Model model = model_of(start, arguments, at::kCPU);
  json weights = json::array();
  std::ofstream values = create(arguments.directory / "weights.f32");
  for (const operators::Parameter& parameter : model.parameters()) {
    weights.push_back({{"name", parameter.name}, {"shape", parameter.value.sizes().vec()}, {"decay", parameter.decay}});
    append(values, parameter.value.data_ptr<float>(), parameter.value.numel());
  }
  const auto [sequences, steps] = training::extent(arguments.training, start.task->sequence_length());
  std::ofstream tokens = create(arguments.directory / "tokens.i64");
  for (std::int64_t step = 0; step < steps; ++step) {
    const tasks::Batch batch = start.task->training_batch(arguments.seed, step, sequences);
    append(tokens, batch.inputs.data_ptr<std::int64_t>(), batch.inputs.numel());
    append(tokens, batch.targets.data_ptr<std::int64_t>(), batch.targets.numel());
  }
  const genome::Account account = genome::account(start.catalogue, start.genome, start.dimensions);
  const training::Options& options = arguments.training;
  create(arguments.directory / "model.json") << json{{"genome", genome::to_text(start.genome)},
                                                     {"livs", livs_of(start)},
                                                     {"width", arguments.width},
                                                     {"length", arguments.length},
                                                     {"heads", genome::heads_at(arguments.width)},
                                                     {"precision", arguments.precision},
                                                     {"weights", weights},
                                                     {"product_flops_per_token", account.training_product_flops},
                                                     {"steps", steps},
                                                     {"sequences", sequences},
                                                     {"learning_rate", options.learning_rate},
                                                     {"warmup", options.warmup},
                                                     {"final_learning_rate", options.final_learning_rate},
                                                     {"weight_decay", options.weight_decay},
                                                     {"gradient_clip", options.gradient_clip},
                                                     {"betas", {options.beta1, options.beta2}}};
}

json train(const Start& start, const Arguments& arguments) {
  training::release_memory(arguments.place());
  training::reset_peak_memory(arguments.place());
  model::Model model = model_of(start, arguments, arguments.place());
  const std::atomic<bool> stop{false};
  std::vector<double> losses;
  std::vector<double> seconds;
  double before = 0;
  const auto keep = [&](const training::Point& point, std::int64_t) {
    losses.push_back(point.train_loss);
    seconds.push_back(point.elapsed_s - before);
    before = point.elapsed_s;
  };
  const training::Result result = training::train(model, *start.task, arguments.training, arguments.seed, stop, keep);
  if (result.end != training::End::completed) throw Failure("training diverged: " + result.reason);
  return {{"losses", losses},
          {"seconds", seconds},
          {"micro_batch_tokens", result.micro_batch_tokens},
          {"peak_memory_bytes", training::peak_memory_bytes(arguments.place())}};
}

/// The fastest product of square matrices, whatever their size.
json fastest_product(at::ScalarType type, const at::Device& device) {
  using Clock = std::chrono::steady_clock;
  const c10::NoGradGuard no_gradient;
  double fastest = 0;
  // A device is asked for several at a time: it is waited for only once.
  const std::vector<std::int64_t> sizes =
      device.is_cpu() ? std::vector<std::int64_t>{512, 1024, 2048} : std::vector<std::int64_t>{4096, 8192};
  const int together = device.is_cpu() ? 1 : 10;
  for (const std::int64_t size : sizes) {
    const at::Tensor a = at::randn({size, size}, at::TensorOptions().device(device)).to(type);
    const at::Tensor b = at::randn({size, size}, at::TensorOptions().device(device)).to(type);
    const double edge = static_cast<double>(size);
    const auto until = Clock::now() + std::chrono::milliseconds(device.is_cpu() ? 100 : 1000);
    do {
      const auto begin = Clock::now();
      for (int i = 0; i < together; ++i) at::matmul(a, b);
      training::finish(device);
      fastest = std::max(fastest, together * 2 * edge * edge * edge / std::chrono::duration<double>(Clock::now() - begin).count());
    } while (Clock::now() < until);
  }
  return {{"flops", fastest}};
}

int run(Arguments& arguments) {
  training::tune_process(1);
  arguments.training.tokens = arguments.steps * arguments.training.batch_tokens;
  const auto& catalogue = genome::Catalogue::liquid();
  arguments.place();  // or why not
  std::shared_ptr<const tasks::Task> task;
  if (arguments.words > 0) {
    task = std::make_shared<RandomTokens>(arguments.words, arguments.length);
  } else {
    task = tasks::make_task(tasks::LanguageModelOptions{
        .files = arguments.files, .sequence_length = arguments.length, .max_bytes = 2'000'000, .seed = arguments.seed});
  }
  const Start start{catalogue,
                    genome_of(catalogue, arguments.genome, static_cast<std::size_t>(arguments.depth)),
                    task,
                    {arguments.width, arguments.length, task->vocabulary()}};
  export_start(start, arguments);
  std::cout << json{{"ready", true}} << std::endl;
  for (std::string command; std::getline(std::cin, command);) {
    if (command == "train") {
      std::cout << train(start, arguments) << std::endl;
    } else if (command == "product") {
      std::cout << fastest_product(arguments.type(), arguments.place()) << std::endl;
    } else {
      throw UserError("standard input: expected 'train' or 'product', found '" + command + "'");
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Writes a genome's first weights and batches to a directory, then trains from there whenever it is told to");
  app.add_option("directory", arguments.directory)->required();
  app.add_option("genome", arguments.genome, "text form, the name of a baseline, or random-SEED")->required();
  auto* const data = app.add_option_group("data");
  data->require_option(1);
  data->add_option("--files", arguments.files, "globs of text");
  data->add_option("--random-tokens", arguments.words, "tokens drawn from so many words")->check(CLI::PositiveNumber);
  app.add_option("--device", arguments.device, "cpu or cuda:N")->capture_default_str();
  app.add_option("--micro-batch-tokens", arguments.training.micro_batch_tokens, "0: all of a batch")->capture_default_str();
  app.add_option("--depth", arguments.depth, "LIVs of a baseline or a random genome")->capture_default_str();
  app.add_option("--width", arguments.width)->capture_default_str();
  app.add_option("--length", arguments.length)->capture_default_str();
  app.add_option("--steps", arguments.steps)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch-tokens", arguments.training.batch_tokens)->capture_default_str();
  app.add_option("--learning-rate", arguments.training.learning_rate, "the peak")->capture_default_str();
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
