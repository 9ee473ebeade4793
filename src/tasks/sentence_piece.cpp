#include <starling/tasks/sentence_piece.hpp>

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/corpus.hpp>
#include <starling/tasks/thousands.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

/// What the library says, without where in its sources it says it: "Internal: ./src/x.cc(1) [condition] Message".
std::string message(const sentencepiece::util::Status& status) {
  std::string text = status.ToString();
  if (const auto end = text.find("] "); end != std::string::npos) text.erase(0, end + 2);
  return text;
}

class Model final : public SentencePiece {
 public:
  explicit Model(const fs::path& file) : file_(file) {
    const auto wrong = [&](const std::string& what) { return UserError("tokenizer '" + file.string() + "': " + what); };
    std::error_code error;
    if (!fs::is_regular_file(file, error)) throw wrong("there is no such file, expected a SentencePiece model");
    if (const auto status = processor_.Load(file.string()); !status.ok()) throw wrong("is no SentencePiece model: " + message(status));
    constexpr std::int64_t most = std::int64_t{1} << 16;
    if (vocabulary() > most) {
      throw wrong("has " + thousands(vocabulary()) + " pieces, expected at most " + thousands(most) + ": tokens have 16 bits");
    }
    separator_ = processor_.bos_id() >= 0 ? processor_.bos_id() : processor_.eos_id();
    if (separator_ < 0) throw wrong("has neither <s> nor </s>, expected one of them to stand between documents");
  }

  std::int64_t vocabulary() const override { return processor_.GetPieceSize(); }
  std::uint16_t separator() const override { return static_cast<std::uint16_t>(separator_); }
  bool of_bytes() const override { return false; }
  // BPE needs about a hundred bytes of memory per character.
  std::size_t longest_text() const override { return std::size_t{1} << 18; }
  fs::path model() const override { return file_; }

  void encode(std::string_view text, std::vector<std::uint16_t>& tokens, std::vector<std::uint16_t>* bytes) const override {
    if (bytes == nullptr) {
      std::vector<int> pieces;
      check(processor_.Encode(text, &pieces));
      std::ranges::transform(pieces, std::back_inserter(tokens), [](int piece) { return static_cast<std::uint16_t>(piece); });
      return;
    }
    const auto encoded = processor_.EncodeAsImmutableProto(text);
    // What no piece covers, such as removed spaces, counts with the piece that follows, at the end with the last.
    constexpr std::size_t most = std::numeric_limits<std::uint16_t>::max();
    std::size_t counted = 0;
    for (std::size_t i = 0; i < encoded.pieces_size(); ++i) {
      const auto piece = encoded.pieces(static_cast<int>(i));
      const std::size_t end = i + 1 == encoded.pieces_size() ? text.size() : std::min<std::size_t>(piece.end(), text.size());
      const std::size_t here = std::min(end - std::min(counted, end), most);
      tokens.push_back(static_cast<std::uint16_t>(piece.id()));
      bytes->push_back(static_cast<std::uint16_t>(here));
      counted += here;
    }
    // A token says at most 65,535; what is left counts with those before.
    for (std::size_t i = bytes->size(); i-- > 0 && counted < text.size();) {
      const std::size_t here = std::min<std::size_t>(text.size() - counted, most - (*bytes)[i]);
      (*bytes)[i] = static_cast<std::uint16_t>((*bytes)[i] + here);
      counted += here;
    }
    if (counted < text.size()) throw Failure("tokenizer '" + file_.string() + "': too few tokens for their bytes of text");
  }

  std::string decode(std::span<const std::int64_t> tokens) const override {
    std::vector<int> pieces;
    for (const std::int64_t token : tokens) {
      if (token < vocabulary() && token != separator_) pieces.push_back(static_cast<int>(token));
    }
    std::string text;
    check(processor_.Decode(pieces, &text));
    return text;
  }

 private:
  void check(const sentencepiece::util::Status& status) const {
    if (!status.ok()) throw Failure("tokenizer '" + file_.string() + "': " + message(status));
  }

  fs::path file_;
  sentencepiece::SentencePieceProcessor processor_;
  int separator_ = -1;
};

/// The lines of documents, one after another.
class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& documents) : documents_(documents) { Next(); }

  bool done() const override { return done_; }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

  void Next() override {
    for (; document_ < documents_.size(); ++document_, begin_ = 0) {
      const std::string& text = documents_[document_];
      while (begin_ < text.size()) {
        const std::size_t end = std::min(text.find('\n', begin_), text.size());
        line_ = text.substr(begin_, end - begin_);
        begin_ = end + 1;
        if (!line_.empty()) return;
      }
    }
    done_ = true;
  }

 private:
  const std::vector<std::string>& documents_;
  std::size_t document_ = 0;
  std::size_t begin_ = 0;
  std::string line_;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<const SentencePiece> open_sentence_piece(const fs::path& model) { return std::make_unique<Model>(model); }

std::string train_sentence_piece(const SentencePieceTraining& training) {
  Corpus corpus = read_corpus(training.sources, {.max_bytes = training.max_bytes, .validation = 0, .test = 0, .seed = training.seed});
  Lines lines(corpus.part(Part::training));
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train({{"model_type", training.kind},
                                                                  {"vocab_size", std::to_string(training.vocabulary)},
                                                                  {"normalization_rule_name", "identity"},
                                                                  {"add_dummy_prefix", "false"},
                                                                  {"remove_extra_whitespaces", "false"},
                                                                  {"allow_whitespace_only_pieces", "true"},
                                                                  {"split_digits", "true"},
                                                                  {"byte_fallback", "true"},
                                                                  {"user_defined_symbols", "\n"},
                                                                  {"unk_id", "0"},
                                                                  {"bos_id", "1"},
                                                                  {"eos_id", "-1"},
                                                                  {"pad_id", "-1"},
                                                                  {"max_sentence_length", "1073741824"},
                                                                  // Sums of unigram models depend on it; the machine must not decide.
                                                                  {"num_threads", "2"},
                                                                  {"minloglevel", "2"}},
                                                                 &lines, &model);
  if (!status.ok()) {
    throw UserError("a " + training.kind + " vocabulary of " + std::to_string(training.vocabulary) + " cannot be learned from " +
                    thousands(corpus.documents) + " documents: " + message(status));
  }
  return model;
}

}  // namespace starling::tasks
