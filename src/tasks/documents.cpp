#include <starling/tasks/documents.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/byte_source.hpp>
#include <starling/tasks/find_files.hpp>

namespace starling::tasks {

namespace fs = std::filesystem;

class DocumentReader::Format {
 public:
  Format() = default;
  Format(const Format&) = delete;
  Format& operator=(const Format&) = delete;
  virtual ~Format() = default;
  virtual bool next() = 0;
  virtual std::string_view piece() = 0;
};

namespace {

constexpr std::size_t block = std::size_t{1} << 18;

class WholeFile final : public DocumentReader::Format {
 public:
  WholeFile(const fs::path& path, const Sources& sources) : source_(open_bytes(path, sources.asked_by)), buffer_(block, '\0') {}

  bool next() override { return !std::exchange(begun_, true); }
  std::string_view piece() override { return {buffer_.data(), source_->read(buffer_.data(), buffer_.size())}; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;
  bool begun_ = false;
};

class Lines {
 public:
  explicit Lines(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  /// The next line without its end, valid until the next call; false behind the last.
  bool next(std::string_view& line) {
    std::size_t searched = begin_;
    while (true) {
      const std::size_t end = text_.find('\n', searched);
      if (end != std::string::npos) {
        line = std::string_view(text_).substr(begin_, end - begin_);
        begin_ = end + 1;
        return true;
      }
      text_.erase(0, begin_);
      begin_ = 0;
      searched = text_.size();
      text_.resize(searched + block);
      text_.resize(searched + source_->read(text_.data() + searched, block));
      if (text_.size() > searched) continue;
      line = text_;
      begin_ = text_.size();
      return !text_.empty();
    }
  }

 private:
  std::unique_ptr<ByteSource> source_;
  std::string text_;
  std::size_t begin_ = 0;
};

/// Takes one string out of a JSON object and reads over the rest without keeping it.
class TextOfObject final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit TextOfObject(const std::string& wanted) : wanted_(wanted) {}

  std::string text;
  bool found = false;
  std::string instead;            ///< what stands where the text or the object should be
  std::vector<std::string> keys;  ///< of the object
  std::string syntax;             ///< what is no JSON

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("true or false"); }
  bool number_integer(number_integer_t) override { return value("a number"); }
  bool number_unsigned(number_unsigned_t) override { return value("a number"); }
  bool number_float(number_float_t, const string_t&) override { return value("a number"); }
  bool binary(binary_t&) override { return value("binary data"); }
  bool string(string_t& content) override {
    if (!here()) return value("a string");
    text = std::move(content);
    found = true;
    return true;
  }
  bool start_object(std::size_t) override { return (depth_ == 0 || value("an object")) && ++depth_ > 0; }
  bool start_array(std::size_t) override { return value("a list") && ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    here_ = name == wanted_;
    keys.push_back(std::move(name));
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    syntax = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 5: …": the line is ours to tell. Other errors have no place.
    if (const auto at = syntax.find("at line "); at != std::string::npos) {
      if (const auto column = syntax.find("column ", at); column != std::string::npos) syntax.replace(0, column, "at ");
    } else if (const auto end = syntax.find("] "); end != std::string::npos) {
      syntax.replace(0, end + 2, "that can be read: ");
    }
    // What was read last may be a whole document.
    constexpr std::size_t longest = 200;
    if (syntax.size() > longest) syntax = syntax.substr(0, longest) + "…";
    return false;
  }

 private:
  bool here() const { return depth_ == 1 && here_; }
  /// A value that is not the text: wrong where the text or the object should stand.
  bool value(const char* kind) {
    if (depth_ > 0 && !here()) return true;
    instead = kind;
    return false;
  }

  const std::string& wanted_;
  int depth_ = 0;
  bool here_ = false;
};

class JsonLines final : public DocumentReader::Format {
 public:
  JsonLines(const fs::path& path, const Sources& sources)
      : name_(sources.asked_by + ": " + path.string()), key_(sources.text_key), lines_(open_bytes(path, sources.asked_by)) {}

  bool next() override {
    std::string_view line;
    do {
      if (!lines_.next(line)) return false;
      ++number_;
    } while (line.find_first_not_of(" \t\r") == std::string_view::npos);
    TextOfObject object(key_);
    nlohmann::json::sax_parse(line.begin(), line.end(), &object);
    const auto wrong = [&](const std::string& what) { return UserError(name_ + ":" + std::to_string(number_) + ": " + what); };
    const std::string expected = ", expected an object with the text as a string under '" + key_ + "'";
    if (!object.syntax.empty()) throw wrong("not JSON " + object.syntax + expected);
    if (!object.instead.empty()) {
      throw wrong("found " + object.instead + (object.keys.empty() ? "" : " under '" + key_ + "'") + expected);
    }
    if (!object.found) throw wrong("found " + list(object.keys) + expected + did_you_mean(key_, object.keys) + "; task.text_key names it");
    text_ = std::move(object.text);
    taken_ = false;
    return true;
  }

  std::string_view piece() override { return std::exchange(taken_, true) ? std::string_view() : std::string_view(text_); }

 private:
  static std::string list(const std::vector<std::string>& keys) {
    constexpr std::size_t shown = 8;
    if (keys.empty()) return "an object without keys";
    std::string text = "an object with the keys";
    for (std::size_t i = 0; i < std::min(shown, keys.size()); ++i) text += (i > 0 ? ", '" : " '") + keys[i].substr(0, 40) + "'";
    return text + (keys.size() > shown ? ", …" : "");
  }

  std::string name_;
  std::string key_;
  Lines lines_;
  std::int64_t number_ = 0;
  std::string text_;
  bool taken_ = true;
};

}  // namespace

std::vector<fs::path> find_text(const Sources& sources) {
  std::vector<fs::path> paths = find_files(sources.globs, sources.asked_by);
  for (const fs::path& path : paths) {
    if (extension_of(uncompressed_name(path)) != ".bin") continue;
    throw UserError(sources.asked_by + ": '" + path.string() + "' is a token shard by its name, expected text; task.files reads shards, " +
                    "uncompressed ones, where each of its globs ends in .bin");
  }
  return paths;
}

bool is_jsonl(const fs::path& path) {
  const auto kind = extension_of(uncompressed_name(path));
  return kind == ".jsonl" || kind == ".ndjson";
}

DocumentReader::DocumentReader(const fs::path& path, const Sources& sources) {
  if (is_jsonl(path)) {
    format_ = std::make_unique<JsonLines>(path, sources);
  } else {
    format_ = std::make_unique<WholeFile>(path, sources);
  }
}

DocumentReader::~DocumentReader() = default;

bool DocumentReader::next() { return format_->next(); }
std::string_view DocumentReader::piece() { return format_->piece(); }

}  // namespace starling::tasks
