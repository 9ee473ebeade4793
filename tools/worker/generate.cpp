#include "generate.hpp"

#include <ATen/ops/empty.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/model/generation.hpp>
#include <starling/model/sampling.hpp>
#include <starling/training/micro_batches.hpp>

#include "saved_model.hpp"

namespace starling::worker {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;
using Tokens = std::vector<std::int64_t>;

std::string contents(const std::string& file) {
  if (file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  if (std::filesystem::is_directory(file)) throw UserError(file + ": is a directory, expected a file with a prompt");
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) throw UserError(file + ": the prompt cannot be read");
  return text;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// How tokens are written: bytes as they are, those of other tasks as numbers.
class Script {
 public:
  /// `separator`: the token between documents, −1 where there is none.
  Script(bool bytes, std::int64_t vocabulary, std::int64_t separator) : bytes_(bytes), vocabulary_(vocabulary), separator_(separator) {}

  Tokens read(const std::string& text) const {
    Tokens tokens;
    if (bytes_) {
      tokens.push_back(byte_separator);
      for (const unsigned char byte : text) tokens.push_back(byte);
      return tokens;
    }
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      std::int64_t token = -1;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), token);
      if (error != std::errc() || end != word.data() + word.size() || token < 0 || token >= vocabulary_) {
        throw UserError("prompt: found '" + word + "', expected tokens of this model's task: numbers from 0 to " +
                        std::to_string(vocabulary_ - 1));
      }
      tokens.push_back(token);
    }
    if (tokens.empty()) throw UserError("prompt: it is empty, expected tokens: numbers from 0 to " + std::to_string(vocabulary_ - 1));
    return tokens;
  }

  std::string write(std::int64_t token) const {
    if (!bytes_) return ' ' + std::to_string(token);
    return token >= byte_separator ? std::string() : std::string(1, static_cast<char>(token));
  }

  /// Where a continuation ends by itself: at the end of its document.
  bool ends(std::int64_t token) const { return token == separator_; }

 private:
  bool bytes_;
  std::int64_t vocabulary_;
  std::int64_t separator_;
};

struct Continuation {
  std::string text;
  std::int64_t tokens = 0;
  bool ended = false;
  std::int64_t cache_elements = 0;
  double prefill_s = 0;
  double decode_s = 0;
};

Continuation extend(const model::Model& model, const Script& script, const Tokens& prompt, std::int64_t count,
                    const model::Sampling& sampling, Stream stream, bool aloud) {
  Continuation result;
  const auto length = static_cast<std::int64_t>(prompt.size());
  const auto state = model.begin(1, length + count);
  auto tokens = at::empty({1, length}, at::kLong);
  std::ranges::copy(prompt, tokens.data_ptr<std::int64_t>());
  auto begun = Clock::now();
  auto logits = model.extend(tokens, *state).contiguous();
  result.prefill_s = seconds_since(begun);
  begun = Clock::now();
  auto next = at::empty({1}, at::kLong);
  while (result.tokens < count && !result.ended) {
    const auto token = model::sample_token({logits.data_ptr<float>(), static_cast<std::size_t>(logits.numel())}, sampling, stream);
    ++result.tokens;
    result.ended = script.ends(token);
    const auto text = script.write(token);
    result.text += text;
    if (aloud) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      // Whoever listened has gone: nobody wants the rest.
      if (std::fflush(stdout) != 0) throw Failure("standard output cannot be written");
    }
    if (result.ended || result.tokens == count) break;
    next.data_ptr<std::int64_t>()[0] = token;
    logits = model.step(next, *state).contiguous();
  }
  result.decode_s = seconds_since(begun);
  result.cache_elements = state->elements_per_sequence();
  return result;
}

}  // namespace

int generate(const std::string& options, const std::filesystem::path& checkpoint, const std::string& prompt) {
  const auto asked = Json::parse(options);
  const auto prompt_text = asked.at("from_file").get<bool>() ? contents(prompt) : prompt;
  const auto saved = load_model(checkpoint);
  const auto& task = saved.experiment.task;
  const bool text = task.kind == "language-model";
  const bool bytes = text && task.tokenizer == "bytes";
  const Script script(bytes, experiment::vocabulary(saved.experiment), text ? task.separator : -1);
  const auto prompt_tokens = script.read(prompt_text);
  const model::Sampling sampling{asked.at("temperature"), asked.at("top_k"), asked.at("top_p")};
  const std::int64_t count = asked.at("tokens");
  const std::int64_t samples = asked.at("samples");
  const std::uint64_t seed = asked.at("seed");
  const bool json = asked.at("json");
  const bool bare = asked.at("bare");  // continuations alone, a line each: for a program

  auto continuations = Json::array();
  for (std::int64_t sample = 0; sample < samples; ++sample) {
    if (!json && !bare) {
      if (samples > 1) std::printf("%s--- %lld\n", sample > 0 ? "\n" : "", static_cast<long long>(sample + 1));
      std::fwrite(prompt_text.data(), 1, prompt_text.size(), stdout);
    }
    const Stream stream(seed, Purpose::generation, static_cast<std::uint64_t>(sample));
    Continuation made;
    try {
      made = extend(saved.model, script, prompt_tokens, count, sampling, stream, !json);
    } catch (const std::exception& error) {
      // LibTorch would add a trace of its calls.
      if (!training::is_out_of_memory(error)) throw;
      throw Failure("out of memory: no room for the state of " + std::to_string(prompt_tokens.size()) + " tokens of a prompt and " +
                    std::to_string(count) + " behind them");
    }
    if (!json) std::fputc('\n', stdout);
    continuations.push_back({{"text", made.text},
                             {"tokens", made.tokens},
                             {"ended", made.ended},
                             {"cache_elements", made.cache_elements},
                             {"prefill_s", made.prefill_s},
                             {"decode_s", made.decode_s}});
  }
  if (json) {
    const Json result{{"checkpoint", checkpoint.string()},     {"candidate_id", saved.info.candidate_id},
                      {"genome", saved.info.genome},           {"prompt", prompt_text},
                      {"prompt_tokens", prompt_tokens.size()}, {"capacity", static_cast<std::int64_t>(prompt_tokens.size()) + count},
                      {"continuations", continuations}};
    // Bytes that are no UTF-8 become U+FFFD, as JSON cannot hold them.
    std::puts(result.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
}

}  // namespace starling::worker
