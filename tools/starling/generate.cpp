#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include <starling/base/error.hpp>
#include <starling/experiment/experiment.hpp>
#include <starling/run/checkpoint.hpp>
#include <starling/tasks/sentence_piece.hpp>

#include "commands.hpp"
#include "sibling.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;

std::string prompt_text(const GenerateArguments& arguments) {
  if (arguments.prompt_file.empty()) return arguments.prompt;
  if (arguments.prompt_file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  if (fs::is_directory(arguments.prompt_file)) throw UserError(arguments.prompt_file + ": is a directory, expected a file with a prompt");
  std::ifstream stream(arguments.prompt_file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) throw UserError(arguments.prompt_file + ": the prompt cannot be read");
  return text;
}

nlohmann::json options_of(const GenerateArguments& arguments) {
  return {{"from_file", !arguments.prompt_file.empty()},
          {"tokens", arguments.tokens},
          {"samples", arguments.samples},
          {"temperature", arguments.temperature},
          {"top_k", arguments.top_k},
          {"top_p", arguments.top_p},
          {"seed", arguments.seed},
          {"json", arguments.json}};
}

/// The tokenizer of a run stands beside its tokens; of one that was given its tokens, where the experiment says.
fs::path model_of(const fs::path& checkpoint, const experiment::Experiment& experiment) {
  const auto kept = fs::absolute(checkpoint).parent_path().parent_path() / "data" / "tokenizer.model";
  return fs::exists(kept) ? kept : fs::path(experiment.task.tokenizer);
}

/// The worker, which cannot load the tokenizer, sees tokens as numbers.
int generate_pieces(const GenerateArguments& arguments, const experiment::Experiment& experiment) {
  const auto tokenizer = tasks::open_sentence_piece(model_of(arguments.checkpoint, experiment));
  const std::string prompt = prompt_text(arguments);
  std::vector<std::uint16_t> tokens{static_cast<std::uint16_t>(experiment.task.separator)};
  tokenizer->encode(prompt, tokens, nullptr);
  std::string numbers;
  for (const auto token : tokens) numbers += fmt::format("{} ", token);

  auto options = options_of(arguments);
  options["from_file"] = false;
  options["json"] = true;
  std::string output;
  const int code =
      run_program(sibling_program("starling-worker"), {"generate", options.dump(), arguments.checkpoint.string(), numbers}, output);
  if (code != exit_code::done) return code;
  auto result = nlohmann::ordered_json::parse(output);
  result["prompt"] = prompt;
  int sample = 0;
  for (auto& continuation : result.at("continuations")) {
    std::istringstream words(continuation.at("text").get<std::string>());
    const std::vector<std::int64_t> made{std::istream_iterator<std::int64_t>(words), {}};
    const std::string text = tokenizer->decode(made);
    continuation["text"] = text;
    if (arguments.json) continue;
    if (arguments.samples > 1) fmt::print("{}--- {}\n", sample > 0 ? "\n" : "", sample + 1);
    ++sample;
    for (const auto* part : {&prompt, &text}) std::fwrite(part->data(), 1, part->size(), stdout);
    std::fputc('\n', stdout);
  }
  if (arguments.json) fmt::print("{}\n", result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return exit_code::done;
}

}  // namespace

int generate(const GenerateArguments& arguments) {
  const auto info = run::read_checkpoint_info(arguments.checkpoint);
  const auto experiment = experiment::parse(info.experiment, arguments.checkpoint.string() + ": experiment");
  if (experiment.task.kind == "series") {
    throw UserError(
        fmt::format("{}: this model predicts the columns of a series, expected one of text or of a MAD task: a series has no "
                    "tokens that could continue a prompt",
                    arguments.checkpoint.string()));
  }
  if (experiment.task.kind == "language-model" && experiment.task.tokenizer.ends_with(".model")) {
    return generate_pieces(arguments, experiment);
  }
  // What may be any bytes travels outside the JSON.
  const auto& prompt = arguments.prompt_file.empty() ? arguments.prompt : arguments.prompt_file;
  return run_program(sibling_program("starling-worker"), {"generate", options_of(arguments).dump(), arguments.checkpoint.string(), prompt});
}

}  // namespace starling::tools
