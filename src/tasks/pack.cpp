#include <starling/tasks/pack.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/token_shards.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* index_name = "index.json";
constexpr const char* index_format = "starling tokens";
constexpr int index_version = 1;
constexpr const char* model_name = "tokenizer.model";
constexpr std::array<const char*, 3> part_names{"training", "validation", "test"};

/// A sequence of shards with numbers in their names.
class ShardSeries {
 public:
  ShardSeries(fs::path folder, std::string name, std::string suffix, std::int64_t most)
      : folder_(std::move(folder)), name_(std::move(name)), suffix_(std::move(suffix)), most_(most) {}

  void write(std::span<const std::uint16_t> tokens) {
    while (!tokens.empty()) {
      if (!writer_) open();
      const auto here = std::min(tokens.size(), static_cast<std::size_t>(most_ - writer_->tokens()));
      writer_->write(tokens.first(here));
      tokens = tokens.subspan(here);
      if (writer_->tokens() == most_) finish();
    }
  }
  void finish() {
    if (writer_) writer_->finish();
    writer_.reset();
  }
  const std::vector<std::string>& files() const { return files_; }

 private:
  void open() {
    std::string number = std::to_string(files_.size());
    number.insert(0, 6 - std::min<std::size_t>(6, number.size()), '0');
    files_.push_back(name_ + "_" + number + suffix_);
    writer_ = std::make_unique<ShardWriter>(folder_ / files_.back());
  }

  fs::path folder_;
  std::string name_;
  std::string suffix_;
  std::int64_t most_;
  std::vector<std::string> files_;
  std::unique_ptr<ShardWriter> writer_;
};

class Packer final : public Receiver {
 public:
  Packer(const PackOptions& options, const Tokenizer& tokenizer, const fs::path& folder)
      : tokenizer_(tokenizer), separator_(options.separator.value_or(tokenizer.separator())), tick_(options.tick) {
    for (const Part part : all_parts) {
      const std::string name = part_names[static_cast<std::size_t>(part)];
      const bool counts = part != Part::training && !tokenizer.of_bytes();
      outputs_.push_back({ShardSeries(folder, name, ".bin", options.shard_tokens),
                          counts ? std::optional(ShardSeries(folder, name, ".bytes", options.shard_tokens)) : std::nullopt,
                          {}});
    }
  }

  void begin(Part part) override {
    output_ = &outputs_[static_cast<std::size_t>(part)];
    ++output_->index.documents;
    tokens_.push_back(separator_);
    if (output_->lengths) lengths_.push_back(0);
  }

  void piece(std::string_view text) override {
    if (tick_) tick_();
    output_->index.bytes += std::ssize(text);
    const std::size_t longest = tokenizer_.longest_text();
    while (text_.size() + text.size() > longest) {
      const std::size_t here = longest - text_.size();
      text_ += text.substr(0, here);
      text.remove_prefix(here);
      encode(end_of_whole_text());
    }
    text_ += text;
  }

  void end() override {
    encode(text_.size());
    write();
  }

  std::array<PackIndex::PartOfPack, 3> finish() {
    std::array<PackIndex::PartOfPack, 3> parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Output& output = outputs_[i];
      output.shards.finish();
      output.index.files = output.shards.files();
      if (output.lengths) {
        output.lengths->finish();
        output.index.token_bytes = output.lengths->files();
      }
      parts[i] = std::move(output.index);
    }
    return parts;
  }

 private:
  struct Output {
    ShardSeries shards;
    std::optional<ShardSeries> lengths;
    PackIndex::PartOfPack index;
  };

  /// Where the buffered text may be cut: behind its last line, else its last character that is surely whole.
  std::size_t end_of_whole_text() const {
    // A line end far in front would leave nearly all of it for the next time.
    if (const auto line = text_.rfind('\n'); line != std::string::npos && line >= text_.size() / 2) return line + 1;
    std::size_t end = text_.size();
    for (int back = 0; back < 4 && end > 1; ++back) {
      --end;
      if ((static_cast<unsigned char>(text_[end]) & 0xc0) != 0x80) return end;
    }
    return text_.size();
  }

  void encode(std::size_t size) {
    if (size > 0) tokenizer_.encode(std::string_view(text_).substr(0, size), tokens_, output_->lengths ? &lengths_ : nullptr);
    text_.erase(0, size);
    constexpr std::size_t enough = std::size_t{1} << 16;
    if (tokens_.size() > enough) write();
  }

  void write() {
    output_->shards.write(tokens_);
    output_->index.tokens += std::ssize(tokens_);
    if (output_->lengths) output_->lengths->write(lengths_);
    tokens_.clear();
    lengths_.clear();
  }

  const Tokenizer& tokenizer_;
  std::uint16_t separator_;
  const std::function<void()>& tick_;
  std::vector<Output> outputs_;
  Output* output_ = nullptr;
  std::string text_;
  std::vector<std::uint16_t> tokens_;
  std::vector<std::uint16_t> lengths_;
};

Json to_json(const PackIndex& index) {
  Json json{{"format", index_format},         {"version", index_version},     {"tokenizer", index.tokenizer},
            {"vocabulary", index.vocabulary}, {"separator", index.separator}, {"text_files", index.text_files}};
  for (const Part part : all_parts) {
    const auto& of_part = index.part(part);
    const std::int64_t without_separators = of_part.tokens - of_part.documents;
    Json& here = json["parts"][part_names[static_cast<std::size_t>(part)]];
    here = {{"files", of_part.files}, {"tokens", of_part.tokens}, {"documents", of_part.documents}, {"bytes", of_part.bytes}};
    here["bytes_per_token"] =
        without_separators > 0 ? Json(static_cast<double>(of_part.bytes) / static_cast<double>(without_separators)) : Json();
    if (!of_part.token_bytes.empty()) here["token_bytes"] = of_part.token_bytes;
  }
  return json;
}

PackIndex from_json(const Json& json) {
  PackIndex index;
  if (json.at("version") != index_version) throw std::invalid_argument("another version");
  index.tokenizer = json.at("tokenizer");
  index.vocabulary = json.at("vocabulary");
  index.separator = json.at("separator");
  index.text_files = json.at("text_files");
  for (const Part part : all_parts) {
    const Json& here = json.at("parts").at(part_names[static_cast<std::size_t>(part)]);
    auto& of_part = index.parts[static_cast<std::size_t>(part)];
    of_part = {here.at("files"), here.value("token_bytes", std::vector<std::string>()), here.at("tokens"), here.at("documents"),
               here.at("bytes")};
  }
  return index;
}

/// Durable, and under its name only when it is whole.
void write_file(const fs::path& path, std::string_view content) {
  const fs::path temporary = path.string() + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "wbe");
  bool good = file != nullptr && std::fwrite(content.data(), 1, content.size(), file) == content.size() && std::fflush(file) == 0 &&
              fsync(fileno(file)) == 0;
  int error = errno;
  if (file != nullptr && std::fclose(file) != 0 && good) {
    good = false;
    error = errno;
  }
  if (good && std::rename(temporary.c_str(), path.c_str()) != 0) {
    good = false;
    error = errno;
  }
  if (!good) throw Failure("cannot write '" + path.string() + "': " + std::strerror(error));
}

}  // namespace

PackIndex pack(const PackOptions& options, const Tokenizer& tokenizer, const fs::path& folder) {
  const Survey found = survey(options.sources, options.division, nullptr, options.tick);
  PackIndex index;
  index.tokenizer = tokenizer.of_bytes() ? "bytes" : model_name;
  index.vocabulary = tokenizer.vocabulary();
  index.separator = options.separator.value_or(tokenizer.separator());
  index.text_files = found.files_used;
  Packer packer(options, tokenizer, folder);
  deliver(found, options.sources, options.division, packer);
  index.parts = packer.finish();
  if (!tokenizer.of_bytes()) fs::copy_file(tokenizer.model(), folder / model_name, fs::copy_options::overwrite_existing);
  write_file(folder / index_name, to_json(index).dump(2) + "\n");
  return index;
}

std::optional<PackIndex> read_pack_index(const fs::path& folder) {
  const fs::path path = folder / index_name;
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  const Json json = Json::parse(file, nullptr, false);
  if (!json.is_object() || json.value("format", Json()) != index_format) return {};  // somebody else's
  try {
    return from_json(json);
  } catch (const std::exception& error) {
    throw UserError("'" + path.string() + "' is no index of token shards: " + error.what());
  }
}

}  // namespace starling::tasks
