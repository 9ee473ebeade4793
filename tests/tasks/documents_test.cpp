#include <starling/tasks/documents.hpp>

#include <gmock/gmock.h>

#include <map>
#include <set>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/corpus.hpp>

#include <support/temporary_folder.hpp>

#include "compressed.hpp"

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::string json_line(const std::string& text) { return R"({"id": [1, {"text": "no"}], "text": ")" + text + "\"}\n"; }

class Documents : public ::testing::Test {
 protected:
  std::vector<std::string> read(const std::filesystem::path& file) const {
    DocumentReader reader(file, sources_);
    std::vector<std::string> documents;
    while (reader.next()) {
      documents.emplace_back();
      for (auto piece = reader.piece(); !piece.empty(); piece = reader.piece()) documents.back() += piece;
    }
    return documents;
  }

  std::string error_of(const std::string& name, const std::string& content) const {
    const auto file = folder_.write(name, content);
    try {
      read(file);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  // Longer than every buffer, and hard enough to compress that several blocks of compressed data come about.
  static std::string long_text() {
    Stream random(3, Purpose::test);
    std::string text;
    while (text.size() < 1'500'000) text += static_cast<char>('a' + random.below(26));
    return text;
  }

  TemporaryFolder folder_;
  Sources sources_;
};

TEST_F(Documents, AnyFileButJsonLinesIsOneDocumentCompressedOrNot) {
  const std::string text = long_text();
  for (const std::string& content : {std::string("a\nb\n"), text, std::string(3, '\0')}) {
    EXPECT_THAT(read(folder_.write("a.txt", content)), ElementsAre(content));
    EXPECT_THAT(read(folder_.write("a.txt.gz", gzip(content))), ElementsAre(content));
    EXPECT_THAT(read(folder_.write("a.txt.zst", zstandard(content))), ElementsAre(content));
  }
  EXPECT_THAT(read(folder_.write("empty.gz", gzip(""))), ElementsAre(""));
  EXPECT_THAT(read(folder_.write("empty.zst", zstandard(""))), ElementsAre(""));
}

TEST_F(Documents, MembersAndFramesFollowEachOther) {
  EXPECT_THAT(read(folder_.write("a.gz", gzip("one ") + gzip("") + gzip("two") + std::string(512, '\0'))), ElementsAre("one two"));
  EXPECT_THAT(read(folder_.write("a.zst", zstandard("one ") + zstandard("") + zstandard("two"))), ElementsAre("one two"));
}

TEST_F(Documents, ALineOfJsonIsOneDocument) {
  const std::string lines = json_line("one") + json_line("two\\n\\u00e4\\ud83d\\ude00") + " \t\r\n" + json_line("");
  const std::string last = R"({"text": "no line end"})";
  for (const auto& file : {folder_.write("a.jsonl", lines + last), folder_.write("a.ndjson", lines + last),
                           folder_.write("a.jsonl.gz", gzip(lines + last)), folder_.write("a.jsonl.zst", zstandard(lines + last))}) {
    EXPECT_THAT(read(file), ElementsAre("one", "two\nä😀", "", "no line end"));
  }
  sources_.text_key = "id";
  EXPECT_THAT(read(folder_.write("b.jsonl", R"({"text": 5, "id": "x"})")), ElementsAre("x"));
}

TEST_F(Documents, LinesMayBeLongerThanAnyBuffer) {
  const std::string text = long_text();
  EXPECT_THAT(read(folder_.write("a.jsonl.gz", gzip(json_line(text) + json_line("b") + json_line(text)))), ElementsAre(text, "b", text));
}

TEST_F(Documents, AMalformedLineIsToldWithFileLineAndWhatWasFound) {
  const std::string good = json_line("a");
  EXPECT_THAT(error_of("a.jsonl", good + "\n" + "{\"text\": oops}\n"),
              AllOf(HasSubstr("task.files: "), HasSubstr("a.jsonl:3: not JSON at column 1"), HasSubstr("last read: '\"text\": o'"),
                    HasSubstr("expected an object with the text as a string under 'text'")));
  EXPECT_THAT(error_of("a.jsonl", good + "[1]\n"), HasSubstr("a.jsonl:2: found a list, expected an object"));
  EXPECT_THAT(error_of("a.jsonl", "\"text\"\n"), HasSubstr("a.jsonl:1: found a string, expected an object"));
  EXPECT_THAT(error_of("a.jsonl", "{\"text\": 7}\n"), HasSubstr("a.jsonl:1: found a number under 'text', expected"));
  EXPECT_THAT(error_of("a.jsonl", "{\"text\": {\"text\": \"a\"}}\n"), HasSubstr("found an object under 'text'"));
  EXPECT_THAT(error_of("a.jsonl", "{\"id\": 7, \"texts\": \"a\"}\n"),
              AllOf(HasSubstr("a.jsonl:1: found an object with the keys 'id', 'texts'"), HasSubstr("did you mean 'texts'?"),
                    HasSubstr("task.text_key")));
  EXPECT_THAT(error_of("a.jsonl", "{}"), HasSubstr("found an object without keys"));
  EXPECT_THAT(error_of("a.jsonl", "{\"text\": \"a\"} x\n"), HasSubstr("a.jsonl:1: not JSON"));
  EXPECT_THAT(error_of("a.jsonl", "{\"text\": \"\xff\"}\n"), HasSubstr("a.jsonl:1: not JSON"));
  EXPECT_THAT(error_of("a.jsonl", "{\"text\": \"a\"\n"), HasSubstr("a.jsonl:1: not JSON"));
  EXPECT_THAT(
      error_of("a.jsonl", "{\"text\": \"a\", \"score\": 1e999}\n"),
      AllOf(HasSubstr("a.jsonl:1: not JSON that can be read: number overflow parsing '1e999', expected"), Not(HasSubstr("exception"))));
}

TEST_F(Documents, DamagedCompressionIsAnError) {
  const std::string text = long_text();
  for (const auto& [suffix, packed] : {std::pair(std::string(".gz"), gzip(text)), std::pair(std::string(".zst"), zstandard(text))}) {
    std::string flipped = packed;
    for (std::size_t i = flipped.size() / 2; i < flipped.size() / 2 + 8; ++i) flipped[i] = static_cast<char>(~flipped[i]);
    EXPECT_THAT(error_of("a.txt" + suffix, flipped), AllOf(HasSubstr("a.txt" + suffix), HasSubstr("is no sound")));
    EXPECT_THAT(error_of("a.txt" + suffix, packed.substr(0, packed.size() - 20)), HasSubstr("ends in the middle"));
    EXPECT_THAT(error_of("a.txt" + suffix, packed.substr(0, 100)), HasSubstr("ends in the middle"));
    EXPECT_THAT(error_of("a.txt" + suffix, "plain text, not compressed"), HasSubstr("is no sound"));
    EXPECT_THAT(error_of("a.txt" + suffix, packed + "trailing rubbish"), HasSubstr("is no sound"));
    EXPECT_THAT(error_of("a.txt" + suffix, ""), HasSubstr("is empty"));
  }
}

TEST_F(Documents, OfManyFilesAreDividedOneByOneWhateverTheCompression) {
  // The same documents as lines of three files, of which one is compressed, and as files of their own.
  std::set<std::string> all;
  std::string lines[3];
  for (int i = 0; i < 300; ++i) {
    const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(20 + i * 7 % 400), 'x');
    lines[i % 3] += json_line(text);
    all.insert(text);
  }
  lines[2] += json_line("0" + std::string(20, 'x'));  // stands in the first file too
  folder_.write("a.jsonl", lines[0]);
  folder_.write("b.jsonl.gz", gzip(lines[1]));
  folder_.write("c.jsonl", lines[2]);
  const Division division{.validation = 0.2, .test = 0.1, .seed = 4};
  Corpus corpus = read_corpus({{folder_ / "*"}}, division);
  EXPECT_EQ(corpus.files, 3);
  EXPECT_EQ(corpus.documents, 300);
  std::multiset<std::string> texts;
  std::array<std::int64_t, 3> bytes{};
  for (const Part part : all_parts) {
    for (const std::string& text : corpus.part(part)) bytes[static_cast<std::size_t>(part)] += std::ssize(text);
    texts.insert(corpus.part(part).begin(), corpus.part(part).end());
  }
  EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()), all);
  EXPECT_THAT(texts, SizeIs(300));
  const auto total = static_cast<double>(bytes[0] + bytes[1] + bytes[2]);
  EXPECT_NEAR(static_cast<double>(bytes[1]) / total, 0.2, 0.01);
  EXPECT_NEAR(static_cast<double>(bytes[2]) / total, 0.1, 0.01);
  // Every part has documents of every file.
  for (const Part part : all_parts) {
    std::set<int> files;
    for (const std::string& text : corpus.part(part)) files.insert(std::stoi(text) % 3);
    EXPECT_THAT(files, SizeIs(3));
  }
}

TEST_F(Documents, TheCapTakesDocumentsFromTheBeginningOfAFile) {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += json_line(std::to_string(i) + std::string(50, 'x'));
  folder_.write("a.jsonl.zst", zstandard(lines));
  Corpus corpus = read_corpus({{folder_ / "*"}}, {.max_bytes = 1000, .validation = 0, .test = 0});
  ASSERT_THAT(corpus.part(Part::training), SizeIs(19));
  EXPECT_EQ(corpus.part(Part::training)[18], "18" + std::string(50, 'x'));
}

TEST_F(Documents, ThatAreEqualToEarlierOnesTakeNoRoomUnderTheCap) {
  const std::string text(400, 'x');
  std::string lines;
  for (int i = 0; i < 5; ++i) lines += json_line(text);
  for (int i = 0; i < 9; ++i) lines += json_line(std::to_string(i) + text.substr(1)) + json_line(text);
  folder_.write("a.jsonl", lines);
  const Sources sources{{folder_ / "*"}};
  for (const int documents : {1, 5, 9}) {
    // Too little for one more of them: the equal ones behind the last that fits are read over too.
    const Division division{.max_bytes = 400 * documents + 100, .validation = 0, .test = 0};
    Corpus corpus = read_corpus(sources, division);
    EXPECT_THAT(corpus.part(Part::training), SizeIs(documents));
    const Survey found = survey(sources, division);
    EXPECT_EQ(found.bytes_used(), 400 * documents);
    EXPECT_EQ(found.documents_used(), documents);
    ASSERT_THAT(found.files, SizeIs(1));
    EXPECT_EQ(found.files[0].documents, documents == 1 ? 5 : 5 + 2 * (documents - 1));
  }
}

class Collector final : public Receiver {
 public:
  void begin(Part part) override { document_ = &parts[static_cast<std::size_t>(part)].emplace_back(); }
  void piece(std::string_view text) override { *document_ += text; }
  void end() override { document_ = nullptr; }
  std::array<std::vector<std::string>, 3> parts;

 private:
  std::string* document_ = nullptr;
};

TEST_F(Documents, ReadPieceByPieceAreTheSameAsReadAtOnce) {
  const std::string text = long_text();
  const auto expect_same = [&](const Sources& sources, const Division& division) {
    Collector collector;
    deliver(survey(sources, division), sources, division, collector);
    EXPECT_EQ(collector.parts, read_corpus(sources, division).parts);
    EXPECT_THAT(collector.parts[0], ::testing::Not(::testing::IsEmpty()));
  };
  folder_.write("one/a.txt.gz", gzip(text));
  expect_same({{folder_ / "one/*"}}, {.validation = 0.3, .test = 0.2});
  expect_same({{folder_ / "one/*"}}, {.max_bytes = 700'000, .validation = 0, .test = 0.2});
  folder_.write("many/a.txt", text);
  folder_.write("many/b.txt", text);  // once
  folder_.write("many/c.jsonl", json_line(text.substr(5)) + json_line("") + json_line("b") + json_line("c"));
  folder_.write("many/empty", "");
  for (std::uint64_t seed = 0; seed < 5; ++seed) expect_same({{folder_ / "many/*"}}, {.seed = seed});
  folder_.write("equal/a.jsonl", json_line("abc") + json_line("abc") + json_line("de") + json_line("abc") + json_line("fgh"));
  folder_.write("equal/b.jsonl", json_line("de") + json_line("ij"));
  for (std::int64_t cap = 2; cap < 12; ++cap) expect_same({{folder_ / "equal/*"}}, {.max_bytes = cap, .validation = 0, .test = 0});
}

TEST_F(Documents, AreCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "ä€😀";
  folder_.write("a.txt", text);
  for (const double share : {0.1, 0.101, 0.1023, 0.333}) {
    Corpus corpus = read_corpus({{folder_ / "a.txt"}}, {.validation = share, .test = 0.05});
    std::string whole;
    for (const Part part : all_parts) {
      ASSERT_THAT(corpus.part(part), SizeIs(1));
      EXPECT_NE(static_cast<unsigned char>(corpus.part(part)[0][0]) & 0xc0, 0x80);
      whole += corpus.part(part)[0];
    }
    EXPECT_EQ(whole, text);
  }
}

TEST_F(Documents, ThatChangeBetweenTheReadingsAreAFailure) {
  const auto file = folder_.write("a.jsonl", json_line("one") + json_line("two"));
  const Sources sources{{folder_ / "*"}};
  const Survey found = survey(sources, {.validation = 0, .test = 0});
  folder_.write("a.jsonl", json_line("one"));
  Collector collector;
  EXPECT_THROW(deliver(found, sources, {.validation = 0, .test = 0}, collector), Failure);
}

}  // namespace
}  // namespace starling::tasks
