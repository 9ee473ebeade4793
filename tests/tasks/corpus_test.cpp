#include <starling/tasks/corpus.hpp>

#include <gmock/gmock.h>
#include <unistd.h>

#include <set>

#include <starling/base/error.hpp>
#include <starling/tasks/find_files.hpp>

#include <support/temporary_folder.hpp>

#include "compressed.hpp"

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Root may read everything; without its rights the permissions of a file mean what they say.
class AsNobody {
 public:
  AsNobody() : was_root_(geteuid() == 0) {
    if (was_root_ && seteuid(65534) != 0) throw std::runtime_error("cannot give up root's rights");
  }
  ~AsNobody() {
    if (was_root_ && seteuid(0) != 0) std::abort();
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  bool was_root_;
};

class TextFiles : public ::testing::Test {
 protected:
  std::vector<std::string> find(const std::vector<std::string>& globs) const {
    std::vector<std::string> absolute;
    for (const std::string& glob : globs) absolute.push_back(folder_ / glob);
    std::vector<std::string> names;
    for (const auto& path : find_files(absolute)) names.push_back(path.lexically_relative(folder_.path()).string());
    return names;
  }

  std::string error_of(const std::vector<std::string>& globs, const Division& division = {}) const {
    try {
      read_corpus({globs}, division);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  // Distinct texts of the given sizes.
  void write_sizes(const std::vector<std::size_t>& sizes) const {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::string number = std::to_string(i);
      std::string text = number + ":";
      text.resize(sizes[i], static_cast<char>('a' + i % 26));
      folder_.write(number + ".txt", text);
    }
  }

  static std::int64_t bytes(Corpus& corpus, Part part) {
    std::int64_t sum = 0;
    for (const std::string& text : corpus.part(part)) sum += std::ssize(text);
    return sum;
  }

  TemporaryFolder folder_;
};

TEST_F(TextFiles, GlobsMatchWithinComponentsAndTwoStarsAcrossThem) {
  for (const char* name : {"a.hpp", "b.cpp", "sub/c.hpp", "sub/deep/d.hpp", "sub/deep/e.txt", ".hidden.hpp", ".git/f.hpp"}) {
    folder_.write(name, name);
  }
  EXPECT_THAT(find({"*.hpp"}), ElementsAre("a.hpp"));
  EXPECT_THAT(find({"**/*.hpp"}), ElementsAre("a.hpp", "sub/c.hpp", "sub/deep/d.hpp"));
  EXPECT_THAT(find({"sub/**"}), ElementsAre("sub/c.hpp", "sub/deep/d.hpp", "sub/deep/e.txt"));
  EXPECT_THAT(find({"**/deep/[de].*"}), ElementsAre("sub/deep/d.hpp", "sub/deep/e.txt"));
  EXPECT_THAT(find({"s?b/*/d.hpp", ".hidden.hpp"}), ElementsAre(".hidden.hpp", "sub/deep/d.hpp"));
}

TEST_F(TextFiles, AFileIsFoundOnceHoweverManyGlobsAndLinksLeadToIt) {
  folder_.write("z/one.txt", "1");
  folder_.write("z/two.txt", "2");
  std::filesystem::create_directory_symlink(folder_.path() / "z", folder_.path() / "a");
  std::filesystem::create_directory_symlink(folder_.path(), folder_.path() / "z" / "circle");
  std::filesystem::create_symlink(folder_.path() / "z/one.txt", folder_.path() / "z/alias.txt");
  EXPECT_THAT(find({"**/*.txt", "z/*.txt", "z/../z/one.txt"}), ElementsAre("z/one.txt", "z/two.txt"));
}

TEST_F(TextFiles, ALinkKeepsTheNameThatItWasFoundByAndThePlaceOfWhatItIs) {
  folder_.write("blobs/1", "one");
  folder_.write("blobs/2", "two");
  folder_.write("blobs/3", "three");
  std::filesystem::create_directory(folder_.path() / "snap");
  std::filesystem::create_symlink("../blobs/2", folder_.path() / "snap/a.jsonl");
  std::filesystem::create_symlink("../blobs/1", folder_.path() / "snap/b.txt.gz");
  std::filesystem::create_symlink("b.txt.gz", folder_.path() / "snap/c.csv");
  std::filesystem::create_directory_symlink("snap", folder_.path() / "latest");
  EXPECT_THAT(find({"snap/*"}), ElementsAre("snap/b.txt.gz", "snap/a.jsonl"));
  EXPECT_THAT(find({"latest/a.jsonl", "latest/c.csv"}), ElementsAre("snap/c.csv", "snap/a.jsonl"));
  // A blob without an extension says nothing of what it is.
  EXPECT_THAT(find({"**"}), ElementsAre("snap/b.txt.gz", "snap/a.jsonl", "blobs/3"));
}

TEST_F(TextFiles, LinksAreReadAsTheirNamesSay) {
  folder_.write("blobs/1", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
  folder_.write("blobs/2", gzip("three"));
  std::filesystem::create_directory(folder_.path() / "snap");
  std::filesystem::create_symlink("../blobs/1", folder_.path() / "snap/a.jsonl");
  std::filesystem::create_symlink("../blobs/2", folder_.path() / "snap/b.txt.gz");
  Corpus corpus = read_corpus({{folder_ / "snap/*"}}, {.validation = 0, .test = 0});
  EXPECT_THAT(corpus.part(Part::training), UnorderedElementsAre("one", "two", "three"));
}

TEST_F(TextFiles, ANameWithWildcardsThatIsThatOfAFileIsThatFile) {
  for (const char* name : {"a[1].txt", "a1.txt", "b*.txt", "bc.txt"}) folder_.write(name, name);
  EXPECT_THAT(find({"a[1].txt"}), ElementsAre("a[1].txt"));
  EXPECT_THAT(find({"b*.txt"}), ElementsAre("b*.txt"));
  EXPECT_THAT(find({"a[12].txt", "b?.txt"}), ElementsAre("a1.txt", "b*.txt", "bc.txt"));
}

TEST_F(TextFiles, ThatAreTokenShardsByTheirNamesAreRefused) {
  folder_.write("a.txt", "a");
  for (const char* name : {"p/one.bin", "p/one.bin.gz", "p/one.BIN.zst"}) {
    const auto shard = folder_.write(name, "ab");
    EXPECT_THAT(error_of({folder_ / "a.txt", folder_ / "p/*"}),
                AllOf(HasSubstr("task.files"), HasSubstr(shard.string() + "' is a token shard"), HasSubstr("ends in .bin")));
    std::filesystem::remove(shard);
  }
}

TEST_F(TextFiles, ThatAreCompressedUnderAnotherNameAreRefused) {
  const std::string bzip2 = "BZh91AY&SY";
  const std::string xz(
      "\xfd"
      "7zXZ\0",
      6);
  for (const auto& [format, content] :
       {std::pair<std::string, std::string>("gzip", gzip("text")), {"Zstandard", zstandard("text")}, {"bzip2", bzip2}, {"xz", xz}}) {
    for (const char* name : {"a.txt", "a.jsonl", "a.bz2"}) {
      folder_.write(name, content);
      EXPECT_THAT(error_of({folder_ / name}),
                  AllOf(HasSubstr(std::string(name) + "' holds " + format + " data"), HasSubstr(".gz"), HasSubstr(".zst")));
    }
  }
  folder_.write("a.txt", "BZh9 is how bzip2 begins");
  EXPECT_EQ(error_of({folder_ / "a.txt"}), "no error");
}

TEST_F(TextFiles, MayHaveExtensionsInCapitals) {
  folder_.write("A.JSONL.GZ", gzip("{\"text\": \"one\"}\n"));
  folder_.write("B.Zst", zstandard("two"));
  Corpus corpus = read_corpus({{folder_ / "*"}}, {.validation = 0, .test = 0});
  EXPECT_THAT(corpus.part(Part::training), UnorderedElementsAre("one", "two"));
}

TEST_F(TextFiles, SayWhichGlobMatchesNothing) {
  folder_.write("a.txt", "a");
  EXPECT_THAT(error_of({folder_ / "*.txt", folder_ / "*.cpp"}),
              AllOf(HasSubstr("task.files"), HasSubstr("no file matches"), HasSubstr("/*.cpp'")));
  EXPECT_THAT(error_of({folder_ / "nowhere/**/*.txt"}), HasSubstr("/nowhere' does not exist"));
  EXPECT_THAT(error_of({folder_ / "b.txt"}), HasSubstr("/b.txt' does not exist"));
  EXPECT_THAT(error_of({""}), HasSubstr("names no file"));
  EXPECT_THAT(error_of({}), HasSubstr("at least one"));
}

TEST_F(TextFiles, RefuseADirectoryAndSayHowToNameWhatIsInIt) {
  folder_.write("sub/a.txt", "a");
  EXPECT_THAT(error_of({folder_ / "sub"}), AllOf(HasSubstr("is a directory"), HasSubstr("sub/**'")));
  EXPECT_THAT(error_of({folder_ / "sub/"}), HasSubstr("is a directory"));
  EXPECT_THAT(error_of({"/"}), HasSubstr("is a directory"));
}

TEST_F(TextFiles, RefuseAFileThatCannotBeRead) {
  folder_.write("a.txt", "a");
  std::filesystem::permissions(folder_.path() / "a.txt", std::filesystem::perms::none);
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  const AsNobody unprivileged;
  EXPECT_THAT(error_of({folder_ / "a.txt"}), AllOf(HasSubstr("cannot read"), HasSubstr("a.txt"), HasSubstr("Permission denied")));
}

TEST_F(TextFiles, RefuseFilesWithoutText) {
  folder_.write("a.txt", "");
  EXPECT_THAT(error_of({folder_ / "a.txt"}), HasSubstr("no text"));
}

TEST_F(TextFiles, EveryTextGoesToOnePartAndTheSharesComeOutNear) {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < 200; ++i) sizes.push_back(20 + i * 7 % 400);
  write_sizes(sizes);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Corpus corpus = read_corpus({{folder_ / "*.txt"}}, {.validation = 0.2, .test = 0.1, .seed = seed});
    std::set<std::string> texts;
    for (const auto& part : corpus.parts) texts.insert(part.begin(), part.end());
    EXPECT_THAT(texts, SizeIs(200));
    EXPECT_EQ(corpus.parts[0].size() + corpus.parts[1].size() + corpus.parts[2].size(), 200u);
    const auto total = static_cast<double>(bytes(corpus, Part::training) + bytes(corpus, Part::validation) + bytes(corpus, Part::test));
    EXPECT_NEAR(static_cast<double>(bytes(corpus, Part::validation)) / total, 0.2, 0.01);
    EXPECT_NEAR(static_cast<double>(bytes(corpus, Part::test)) / total, 0.1, 0.01);
  }
}

TEST_F(TextFiles, TheDivisionDependsOnTheSeedAlone) {
  write_sizes(std::vector<std::size_t>(50, 100));
  const auto validation = [&](std::uint64_t seed) { return read_corpus({{folder_ / "*.txt"}}, {.seed = seed}).part(Part::validation); };
  EXPECT_EQ(validation(1), validation(1));
  EXPECT_NE(validation(1), validation(2));
}

TEST_F(TextFiles, EveryAskedPartHasTextEvenWhereFilesAreFewAndUneven) {
  write_sizes({10, 10, 5000});
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Corpus corpus = read_corpus({{folder_ / "*.txt"}}, {.seed = seed});
    for (const auto& part : corpus.parts) EXPECT_THAT(part, SizeIs(1));
  }
  EXPECT_THAT(read_corpus({{folder_ / "*.txt"}}, {.test = 0}).part(Part::test), SizeIs(0));
}

TEST_F(TextFiles, ASingleFileIsCutInOrder) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>('a' + i % 26);
  folder_.write("only.txt", text);
  Corpus corpus = read_corpus({{folder_ / "only.txt"}}, {.validation = 0.2, .test = 0.1});
  EXPECT_THAT(corpus.part(Part::training), ElementsAre(text.substr(0, 700)));
  EXPECT_THAT(corpus.part(Part::validation), ElementsAre(text.substr(700, 200)));
  EXPECT_THAT(corpus.part(Part::test), ElementsAre(text.substr(900)));
}

TEST_F(TextFiles, TheCapTakesWholeFilesUntilNoneFits) {
  write_sizes({300, 400, 500, 250, 120, 90});
  Corpus corpus = read_corpus({{folder_ / "*.txt"}}, {.max_bytes = 1000, .validation = 0, .test = 0, .seed = 3});
  EXPECT_LE(bytes(corpus, Part::training), 1000);
  EXPECT_GT(bytes(corpus, Part::training), 1000 - 90);
  for (const std::string& text : corpus.part(Part::training)) {
    EXPECT_THAT((std::set<std::size_t>{300, 400, 500, 250, 120, 90}), ::testing::Contains(text.size()));
  }
  EXPECT_EQ(corpus.found, 6);
}

TEST_F(TextFiles, AFileAboveTheCapIsCutWhereNothingElseFits) {
  write_sizes({3000});
  Corpus corpus = read_corpus({{folder_ / "*.txt"}}, {.max_bytes = 1000, .validation = 0.1, .test = 0});
  EXPECT_EQ(bytes(corpus, Part::training), 900);
  EXPECT_EQ(bytes(corpus, Part::validation), 100);
}

TEST_F(TextFiles, EqualTextsCountOnce) {
  folder_.write("a.txt", std::string(50, 'x'));
  folder_.write("b.txt", std::string(50, 'x'));
  folder_.write("c.txt", "other");
  Corpus corpus = read_corpus({{folder_ / "*.txt"}}, {.validation = 0, .test = 0});
  EXPECT_EQ(corpus.files, 2);
  EXPECT_EQ(bytes(corpus, Part::training), 55);
}

}  // namespace
}  // namespace starling::tasks
