#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
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
          {"bare", false},
          {"json", arguments.json}};
}

/// The tokenizer of a run stands beside its tokens; of one that was given its tokens, where the experiment says.
fs::path model_of(const fs::path& checkpoint, const experiment::Experiment& experiment) {
  const auto kept = fs::absolute(checkpoint).parent_path().parent_path() / "data" / "tokenizer.model";
  return fs::exists(kept) ? kept : fs::path(experiment.task.tokenizer);
}

/// Text of tokens that come one by one. What a tokenizer makes of tokens depends on those before them (a space, the rest of a character).
class Decoder {
 public:
  Decoder(const tasks::SentencePiece& tokenizer, std::vector<std::int64_t> prompt)
      : tokenizer_(&tokenizer), tokens_(std::move(prompt)), prompt_(tokens_.size()) {
    before_ = tokenizer_->decode(tokens_);
  }

  void add(std::int64_t token) { tokens_.push_back(token); }

  /// Of all tokens behind the prompt.
  std::string text() const {
    auto whole = tokenizer_->decode(tokens_);
    if (whole.starts_with(before_)) return whole.substr(before_.size());
    return tokenizer_->decode(std::span(tokens_).subspan(prompt_));
  }

  /// What later tokens will not change: a character whose bytes are not all there yet reads U+FFFD.
  std::string settled_text() const {
    constexpr std::string_view unfinished = "\xEF\xBF\xBD";
    auto text = this->text();
    while (text.ends_with(unfinished)) text.resize(text.size() - unfinished.size());
    return text;
  }

 private:
  const tasks::SentencePiece* tokenizer_;
  std::vector<std::int64_t> tokens_;
  std::size_t prompt_;
  std::string before_;  ///< text of the prompt
};

/// Continuations as a worker writes them, a line of numbers each, on standard output as text, token after token.
class Screen {
 public:
  Screen(const GenerateArguments& arguments, std::string prompt, Decoder fresh)
      : arguments_(arguments), prompt_(std::move(prompt)), fresh_(std::move(fresh)), decoder_(fresh_) {
    begin();
  }

  void hear(std::string_view piece) {
    for (const char character : piece) {
      if (character != ' ' && character != '\n') {
        number_ += character;
        continue;
      }
      if (!number_.empty()) decoder_.add(std::stoll(number_));
      number_.clear();
      if (character == '\n') end();
    }
    if (finished_ < arguments_.samples) show(decoder_.settled_text());
    // Whoever listened has gone: nobody wants the rest.
    if (std::fflush(stdout) != 0) throw Failure("standard output cannot be written");
  }

 private:
  void begin() {
    if (arguments_.samples > 1) fmt::print("{}--- {}\n", finished_ > 0 ? "\n" : "", finished_ + 1);
    std::fwrite(prompt_.data(), 1, prompt_.size(), stdout);
    std::fflush(stdout);
  }
  void end() {
    show(decoder_.text());
    std::fputc('\n', stdout);
    decoder_ = fresh_;
    shown_ = 0;
    if (++finished_ < arguments_.samples) begin();
  }
  void show(const std::string& text) {
    if (text.size() > shown_) std::fwrite(text.data() + shown_, 1, text.size() - shown_, stdout);
    shown_ = std::max(shown_, text.size());
  }

  const GenerateArguments& arguments_;
  std::string prompt_;
  Decoder fresh_;  ///< with the prompt alone
  Decoder decoder_;
  std::string number_;
  std::size_t shown_ = 0;      ///< bytes of this continuation
  std::int64_t finished_ = 0;  ///< continuations that are whole
};

/// The worker, which cannot load the tokenizer, sees tokens as numbers.
int generate_pieces(const GenerateArguments& arguments, const experiment::Experiment& experiment) {
  const auto tokenizer = tasks::open_sentence_piece(model_of(arguments.checkpoint, experiment));
  const std::string prompt = prompt_text(arguments);
  std::vector<std::uint16_t> tokens{static_cast<std::uint16_t>(experiment.task.separator)};
  tokenizer->encode(prompt, tokens, nullptr);
  const std::string numbers = fmt::format("{}", fmt::join(tokens, " "));
  const Decoder decoder(*tokenizer, {tokens.begin(), tokens.end()});

  auto options = options_of(arguments);
  options["from_file"] = true;  // standard input: an argument has at most 128 KiB
  options["bare"] = true;
  const auto worker = sibling_program("starling-worker");
  const std::vector<std::string> words{"generate", options.dump(), arguments.checkpoint.string(), "-"};
  if (!arguments.json) {
    std::optional<Screen> screen;  // begun when the worker has something to say: a refusal has no prompt before it
    const auto hear = [&](std::string_view piece) {
      if (!screen) screen.emplace(arguments, prompt, decoder);
      screen->hear(piece);
    };
    return run_program(worker, words, hear, numbers);
  }
  std::string output;
  const int code = run_program(worker, words, output, numbers);
  if (code != exit_code::done) return code;
  auto result = nlohmann::ordered_json::parse(output);
  result["prompt"] = prompt;
  for (auto& continuation : result.at("continuations")) {
    auto text = decoder;
    std::istringstream made(continuation.at("text").get<std::string>());
    for (std::int64_t token = 0; made >> token;) text.add(token);
    continuation["text"] = text.text();
  }
  fmt::print("{}\n", result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
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
