#include <starling/tasks/pack.hpp>

#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/sentence_piece.hpp>
#include <starling/tasks/token_data.hpp>

#include <support/temporary_folder.hpp>

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Tokens = std::vector<std::uint16_t>;

Tokens all_of(const TokenStream& stream) {
  Tokens tokens(static_cast<std::size_t>(stream.size()));
  stream.copy(0, tokens);
  return tokens;
}

/// Words with blanks, line ends, rare characters and digits.
std::string draw_text(std::size_t size, std::uint64_t seed) {
  const std::vector<std::string> words{"starling", "murmur", "  ", "\n", "\n\n\t", "field", "42",
                                       "über",     "the",    "a",  "of", "😀",      ".",     "\r\n"};
  Stream random(seed, Purpose::test);
  std::string text;
  while (text.size() < size) text += words[random.below(words.size())] + (random.chance(0.7) ? " " : "");
  return text;
}

class Packs : public ::testing::Test {
 protected:
  Packs() {
    std::filesystem::create_directory(folder_.path() / "out");
    options_.sources.globs = {folder_ / "text/*"};
    options_.division = {.validation = 0.2, .test = 0.1, .seed = 7};
    for (std::uint64_t i = 0; i < 40; ++i) folder_.write("text/" + std::to_string(i) + ".txt", draw_text(500 + 100 * i, i + 1));
  }

  std::filesystem::path model(const std::string& kind = "bpe", std::int64_t vocabulary = 400) const {
    SentencePieceTraining training{.sources = options_.sources, .vocabulary = vocabulary, .kind = kind};
    return folder_.write(kind + ".model", train_sentence_piece(training));
  }

  LanguageModelOptions packed(const PackIndex& index) const {
    return {.packed = folder_ / "out", .vocabulary = index.vocabulary, .separator = index.separator, .bytes = index.tokenizer == "bytes"};
  }

  std::filesystem::path out() const { return folder_.path() / "out"; }

  TemporaryFolder folder_;
  PackOptions options_;
};

TEST_F(Packs, OfBytesHaveTheSameTokensAsTheTextInMemory) {
  options_.shard_tokens = 7000;
  for (const std::int64_t cap : {0, 30'000}) {
    options_.division.max_bytes = cap;
    const PackIndex index = pack(options_, *make_byte_tokenizer(), out());
    EXPECT_EQ(read_pack_index(out()), index);
    EXPECT_GT(index.part(Part::training).files.size(), 1u);
    const TokenData from_disk = open_token_data(packed(index));
    const TokenData from_text = open_token_data({.files = options_.sources.globs,
                                                 .max_bytes = cap,
                                                 .validation_fraction = options_.division.validation,
                                                 .test_fraction = options_.division.test,
                                                 .seed = options_.division.seed});
    for (const Part part : all_parts) {
      EXPECT_EQ(all_of(from_disk.part(part)), all_of(from_text.part(part)));
      const auto& of_part = index.part(part);
      EXPECT_EQ(of_part.tokens, from_disk.part(part).size());
      EXPECT_EQ(of_part.bytes, of_part.tokens - of_part.documents);
      EXPECT_EQ(from_disk.bytes_of(part, 0, of_part.tokens), of_part.bytes);
    }
    EXPECT_EQ(from_disk.origin, std::to_string(index.text_files) + " files");
  }
}

TEST_F(Packs, OfSentencePieceDecodeToTheVeryTextAndCountItsBytes) {
  options_.shard_tokens = 1500;
  for (const std::string kind : {"bpe", "unigram"}) {
    const auto tokenizer = open_sentence_piece(model(kind, 330));
    EXPECT_EQ(tokenizer->vocabulary(), 330);
    const PackIndex index = pack(options_, *tokenizer, out());
    const TokenData data = open_token_data(packed(index));
    Corpus corpus = read_corpus(options_.sources, options_.division);
    for (const Part part : all_parts) {
      const Tokens tokens = all_of(data.part(part));
      EXPECT_LT(std::ssize(tokens), index.part(part).bytes);
      std::vector<std::string> documents;
      std::vector<std::int64_t> ids;
      const auto close = [&] {
        if (!documents.empty()) documents.back() = tokenizer->decode(ids);
        ids.clear();
      };
      for (const std::uint16_t token : tokens) {
        if (token == index.separator) {
          close();
          documents.emplace_back();
        } else {
          ids.push_back(token);
        }
      }
      close();
      EXPECT_EQ(documents, corpus.part(part));
      std::int64_t bytes = 0;
      for (const std::string& text : documents) bytes += std::ssize(text);
      EXPECT_EQ(index.part(part).bytes, bytes);
      if (part == Part::training) continue;
      EXPECT_EQ(data.bytes_of(part, 0, std::ssize(tokens)), bytes);
      // Any stretch between two separators is a document with its bytes.
      const auto second = std::find(tokens.begin() + 1, tokens.end(), index.separator);
      EXPECT_EQ(data.bytes_of(part, 1, second - tokens.begin() - 1), std::ssize(documents.front()));
    }
  }
}

TEST_F(Packs, OfLongDocumentsHaveTheTokensOfTheWhole) {
  const auto tokenizer = open_sentence_piece(model());
  const std::string text = draw_text(3 * tokenizer->longest_text() + 777, 99);
  std::filesystem::remove_all(folder_.path() / "text");
  folder_.write("text/long.txt", text);
  options_.division = {.validation = 0, .test = 0};
  const PackIndex index = pack(options_, *tokenizer, out());
  Tokens whole{index.separator};
  tokenizer->encode(text, whole, nullptr);
  EXPECT_EQ(all_of(open_token_data(packed(index)).part(Part::training)), whole);
}

TEST_F(Packs, OfTextWithoutLinesAreCutBetweenCharacters) {
  const auto tokenizer = open_sentence_piece(model());
  std::string text;
  while (text.size() < 2 * tokenizer->longest_text()) text += "x€😀 ü";
  std::filesystem::remove_all(folder_.path() / "text");
  folder_.write("text/long.txt", text);
  options_.division = {.validation = 0, .test = 0};
  const PackIndex index = pack(options_, *tokenizer, out());
  const Tokens tokens = all_of(open_token_data(packed(index)).part(Part::training));
  EXPECT_EQ(tokenizer->decode(std::vector<std::int64_t>(tokens.begin() + 1, tokens.end())), text);
}

TEST_F(Packs, AreFoundByTheIndexBesideTheShards) {
  const auto tokenizer = open_sentence_piece(model());
  const PackIndex index = pack(options_, *tokenizer, out());
  auto asked = packed(index);
  const TokenData expected = open_token_data(asked);
  asked.packed = "";
  asked.files = {folder_ / "out/*.bin"};
  asked.shards = true;
  const TokenData data = open_token_data(asked);
  for (const Part part : all_parts) EXPECT_EQ(all_of(data.part(part)), all_of(expected.part(part)));
  EXPECT_EQ(data.text_bytes, TextBytes::counted);
  EXPECT_TRUE(std::filesystem::exists(out() / index.tokenizer));

  asked.separator = 5;
  EXPECT_THROW(open_token_data(asked), UserError);
  asked.separator = index.separator;
  std::filesystem::copy_file(out() / "test_000000.bin", out() / "extra.bin");
  EXPECT_THROW(open_token_data(asked), UserError);
  folder_.write("out/index.json", R"({"format": "starling tokens", "version": 1})");
  EXPECT_THROW(open_token_data(asked), UserError);
  folder_.write("out/index.json", R"({"somebody": "else"})");
  EXPECT_EQ(open_token_data(asked).part(Part::training).size() > 0, true);
}

TEST_F(Packs, ThatWereNotFinishedHaveNoIndex) {
  options_.tick = [&] {
    if (!std::filesystem::is_empty(out())) throw std::runtime_error("stop");
  };
  EXPECT_THROW(pack(options_, *make_byte_tokenizer(), out()), std::runtime_error);
  EXPECT_FALSE(read_pack_index(out()));
  EXPECT_FALSE(std::filesystem::is_empty(out()));
}

TEST_F(Packs, TrainingTheSameTokenizerTwiceGivesTheSameFile) {
  for (const std::string kind : {"bpe", "unigram"}) {
    const SentencePieceTraining training{.sources = options_.sources, .vocabulary = 320, .kind = kind};
    EXPECT_EQ(train_sentence_piece(training), train_sentence_piece(training));
  }
}

TEST_F(Packs, SayWhatIsWrongWithATokenizer) {
  const auto error_of = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of([&] { model("bpe", 100); }), AllOf(HasSubstr("vocabulary of 100"), HasSubstr("smaller than")));
  EXPECT_THAT(error_of([&] { model("unigram", 60'000); }), AllOf(HasSubstr("too high"), HasSubstr("<=")));
  EXPECT_THAT(error_of([&] { open_sentence_piece(folder_ / "none.model"); }), HasSubstr("no such file"));
  EXPECT_THAT(error_of([&] { open_sentence_piece(folder_.write("x.model", "rubbish")); }), HasSubstr("no SentencePiece model"));
}

}  // namespace
}  // namespace starling::tasks
