// `starling tokenizer train` and `starling data pack`: text to a vocabulary, text to tokens.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <starling/base/error.hpp>
#include <starling/run/files.hpp>
#include <starling/tasks/pack.hpp>
#include <starling/tasks/sentence_piece.hpp>

#include "commands.hpp"
#include "end_signals.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* files_argument = "FILES";

/// A name that is no UTF-8 has U+FFFD in it: JSON cannot hold it.
void print_json(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

/// Removes what was written where the work does not come to its end.
class Unfinished {
 public:
  Unfinished(fs::path folder, bool made) : folder_(std::move(folder)), made_(made) {}
  ~Unfinished() {
    if (finished) return;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder_, ignored)) fs::remove_all(entry, ignored);
    if (made_) fs::remove(folder_, ignored);
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

  bool finished = false;

 private:
  fs::path folder_;
  bool made_;
};

constexpr std::array<const char*, 3> part_names{"training", "validation", "test"};

void print_pack(const tasks::PackIndex& index, const fs::path& folder) {
  using enum Table::Align;
  Table table({{"part", left}, {"documents"}, {"tokens"}, {"bytes"}, {"bytes/token"}, {"shards"}});
  for (const auto part : tasks::all_parts) {
    const auto& of_part = index.part(part);
    const auto tokens = of_part.tokens - of_part.documents;
    table.add({part_names[static_cast<std::size_t>(part)], grouped(of_part.documents), grouped(of_part.tokens), grouped(of_part.bytes),
               tokens > 0 ? fmt::format("{:.3f}", static_cast<double>(of_part.bytes) / static_cast<double>(tokens)) : "–",
               grouped(std::ssize(of_part.files))});
  }
  fmt::print("{}\nvocabulary {}, separator {}; task.files = [\"{}\"]\n", table.text(), grouped(index.vocabulary), index.separator,
             (folder / "*.bin").string());
}

}  // namespace

int tokenizer_train(const TokenizerTrainArguments& arguments) {
  if (arguments.out.extension() != ".model") {
    throw UserError(fmt::format("--out: found '{}', expected a name that ends in .model", arguments.out.string()));
  }
  if (fs::exists(arguments.out)) throw UserError(fmt::format("--out: '{}' is there already", arguments.out.string()));
  const auto model = tasks::train_sentence_piece({.sources = {arguments.files, arguments.text_key, files_argument},
                                                  .vocabulary = arguments.vocabulary,
                                                  .kind = arguments.model,
                                                  .max_bytes = arguments.max_bytes,
                                                  .seed = arguments.seed});
  if (const auto folder = arguments.out.parent_path(); !folder.empty()) fs::create_directories(folder);
  run::write_durably(arguments.out, model);
  const auto tokenizer = tasks::open_sentence_piece(arguments.out);
  if (arguments.json) {
    print_json({{"model", arguments.out.string()}, {"vocabulary", tokenizer->vocabulary()}, {"separator", tokenizer->separator()}});
  } else {
    fmt::print("{}: {} tokens; task.tokenizer = \"{}\"\n", arguments.out.string(), grouped(tokenizer->vocabulary()),
               arguments.out.string());
  }
  return exit_code::done;
}

int data_pack(const DataPackArguments& arguments) {
  if (arguments.validation + arguments.test >= 1) {
    throw UserError(fmt::format("--validation {} and --test {} leave nothing to train on, expected a sum below 1", arguments.validation,
                                arguments.test));
  }
  const bool bytes = arguments.tokenizer == "bytes";
  if (!bytes && !arguments.tokenizer.ends_with(".model")) {
    throw UserError(fmt::format("--tokenizer: found '{}', expected bytes or a SentencePiece model, PATH.model", arguments.tokenizer));
  }
  std::unique_ptr<const tasks::Tokenizer> tokenizer;
  if (bytes) {
    tokenizer = tasks::make_byte_tokenizer();
  } else {
    tokenizer = tasks::open_sentence_piece(arguments.tokenizer);
  }
  tasks::PackOptions options;
  options.sources = {arguments.files, arguments.text_key, files_argument};
  options.division = {arguments.max_bytes, arguments.validation, arguments.test, arguments.seed};
  const EndSignals signals;  // before there is anything to remove
  const bool made = !fs::exists(arguments.out);
  run::create_run_directory(arguments.out);
  Unfinished folder(arguments.out, made);
  options.tick = [&] { signals.raise(); };
  tasks::PackIndex index;
  try {
    index = tasks::pack(options, *tokenizer, arguments.out);
  } catch (const EndSignals::Taken& stopped) {
    return exit_code_of(stopped.signal);
  }
  folder.finished = true;
  if (arguments.json) {
    Json parts;
    for (const auto part : tasks::all_parts) {
      const auto& of_part = index.part(part);
      parts[part_names[static_cast<std::size_t>(part)]] = {
          {"documents", of_part.documents}, {"tokens", of_part.tokens}, {"bytes", of_part.bytes}, {"files", of_part.files}};
    }
    print_json({{"folder", arguments.out.string()}, {"vocabulary", index.vocabulary}, {"separator", index.separator}, {"parts", parts}});
  } else {
    print_pack(index, arguments.out);
  }
  return exit_code::done;
}

}  // namespace starling::tools
