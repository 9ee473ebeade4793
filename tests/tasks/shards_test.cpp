#include <starling/tasks/token_shards.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/pack.hpp>
#include <starling/tasks/thousands.hpp>
#include <starling/tasks/token_data.hpp>
#include <starling/tasks/tokenizer.hpp>

#include <support/temporary_folder.hpp>

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Tokens = std::vector<std::uint16_t>;

std::string bytes_of(const Tokens& tokens) { return {reinterpret_cast<const char*>(tokens.data()), 2 * tokens.size()}; }

/// As llm.c's dev/data/data_common.py writes it.
std::string llm_c(const Tokens& tokens, std::int32_t magic = 20240520, std::int32_t version = 1) {
  std::vector<std::int32_t> header(256);
  header[0] = magic;
  header[1] = version;
  header[2] = static_cast<std::int32_t>(tokens.size());
  return std::string(reinterpret_cast<const char*>(header.data()), 1024) + bytes_of(tokens);
}

Tokens all_of(const TokenStream& stream) {
  Tokens tokens(static_cast<std::size_t>(stream.size()));
  stream.copy(0, tokens);
  return tokens;
}

class Shards : public ::testing::Test {
 protected:
  static Tokens draw(std::size_t count, std::uint64_t seed = 1) {
    Stream random(seed, Purpose::test);
    Tokens tokens(count);
    for (std::uint16_t& token : tokens) token = static_cast<std::uint16_t>(random.below(50'257));
    return tokens;
  }

  std::string error_of(const std::string& content) const {
    TokenStream stream;
    try {
      add_shard(folder_.write("a.bin", content), "task.files", stream);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  static std::string error_of(const LanguageModelOptions& options) {
    try {
      open_token_data(options);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  LanguageModelOptions options() const {
    return {.files = {folder_ / "*.bin"}, .shards = true, .vocabulary = 50'257, .separator = {}, .bytes = false, .sequence_length = 8};
  }

  TemporaryFolder folder_;
};

TEST_F(Shards, OfBothFormatsAreRead) {
  const Tokens tokens = draw(1000);
  TokenStream stream;
  add_shard(folder_.write("a.bin", llm_c(tokens)), "task.files", stream);
  EXPECT_THAT(all_of(stream), ElementsAreArray(tokens));
  add_shard(folder_.write("b.bin", bytes_of(tokens)), "task.files", stream);
  add_shard(folder_.write("c.bin", bytes_of({5})), "task.files", stream);
  EXPECT_EQ(stream.size(), 2001);
  Tokens across(1010);
  stream.copy(991, across);
  for (std::size_t i = 0; i < across.size(); ++i) EXPECT_EQ(across[i], 991 + i == 2000 ? 5 : tokens[(991 + i) % 1000]);
}

TEST_F(Shards, ThatWeWriteAreOnesOfLlmC) {
  const Tokens tokens = draw(777);
  {
    ShardWriter writer(folder_.path() / "a.bin");
    writer.write(std::span(tokens).first(700));
    writer.write(std::span(tokens).subspan(700));
    EXPECT_EQ(writer.tokens(), 777);
    writer.finish();
  }
  std::ifstream file(folder_ / "a.bin", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), llm_c(tokens));
}

TEST_F(Shards, ThatWereNotFinishedAreRefused) {
  {
    ShardWriter writer(folder_.path() / "b.bin");
    writer.write(draw(100));
  }
  TokenStream stream;
  EXPECT_THROW(add_shard(folder_.path() / "b.bin", "task.files", stream), UserError);
}

TEST_F(Shards, ThatAreDamagedAreRefused) {
  const std::string good = llm_c(draw(1000));
  EXPECT_EQ(error_of(good), "no error");
  EXPECT_THAT(error_of(llm_c(draw(1000), 20240801, 7)),
              AllOf(HasSubstr("task.files: '"), HasSubstr("a.bin'"), HasSubstr("magic number 20240801"), HasSubstr("20240520 and 1")));
  EXPECT_THAT(error_of(llm_c(draw(1000), 20240520, 2)), HasSubstr("version 2"));
  for (const std::size_t size : {good.size() - 2, good.size() - 1, std::size_t{1024}}) {
    EXPECT_THAT(error_of(good.substr(0, size)), AllOf(HasSubstr("truncated"), HasSubstr("1,000 tokens"), HasSubstr("3,024 bytes")));
  }
  for (const std::size_t size : {1023, 8, 4}) {
    EXPECT_THAT(error_of(good.substr(0, size)), AllOf(HasSubstr("truncated"), HasSubstr("found " + thousands(static_cast<int>(size)))));
  }
  EXPECT_THAT(error_of(good + "x"), HasSubstr("3,025"));
  EXPECT_THAT(error_of(good + "xy"), HasSubstr("3,026"));
  EXPECT_THAT(error_of(bytes_of(draw(10)) + "x"), HasSubstr("21 bytes"));
  EXPECT_THAT(error_of(""), HasSubstr("is empty"));
}

TEST_F(Shards, Of32BitTokensAreRefused) {
  Tokens halves = draw(1000);
  for (std::size_t i = 1; i < halves.size(); i += 2) halves[i] = i % 3 == 0 ? 1 : 0;
  EXPECT_THAT(error_of(bytes_of(halves)), HasSubstr("a.bin' seems to hold 32-bit tokens"));
  EXPECT_EQ(error_of(llm_c(halves)), "no error") << "its header says how many of which there are";
  halves[501] = 40;
  EXPECT_EQ(error_of(bytes_of(halves)), "no error");
  EXPECT_EQ(error_of(bytes_of(Tokens(200, 3))), "no error");
}

TEST_F(Shards, AreDividedAtSeparators) {
  // Documents 1 … n, each of its number repeated, with the separator before it; a shard ends inside of a document.
  constexpr std::uint16_t separator = 50'256;
  Stream random(2, Purpose::test);
  Tokens tokens;
  std::map<std::uint16_t, std::int64_t> length;
  for (std::uint16_t document = 1; document <= 500; ++document) {
    tokens.push_back(separator);
    length[document] = 1 + static_cast<std::int64_t>(random.below(200));
    tokens.insert(tokens.end(), static_cast<std::size_t>(length[document]), document);
  }
  const auto cut = tokens.begin() + std::ssize(tokens) / 2;
  folder_.write("1.bin", llm_c({tokens.begin(), cut}));
  folder_.write("2.bin", bytes_of({cut, tokens.end()}));
  auto asked = options();
  asked.separator = separator;
  asked.validation_fraction = 0.2;
  std::set<std::uint16_t> seen;
  std::set<Tokens> of_seed;
  for (asked.seed = 1; asked.seed <= 4; ++asked.seed) {
    const TokenData data = open_token_data(asked);
    std::map<std::uint16_t, std::int64_t> found;
    for (const Part part : all_parts) {
      const Tokens here = all_of(data.part(part));
      EXPECT_EQ(here.front(), separator);
      std::map<std::uint16_t, std::int64_t> of_part;
      for (const std::uint16_t token : here) ++of_part[token];
      of_part.erase(separator);
      for (const auto& [document, count] : of_part) {
        EXPECT_EQ(count, length[document]);
        EXPECT_TRUE(found.emplace(document, count).second) << "stands in two parts";
      }
    }
    EXPECT_EQ(found, length);
    const auto total = static_cast<double>(tokens.size());
    EXPECT_NEAR(static_cast<double>(data.part(Part::validation).size()) / total, 0.2, 0.06);
    EXPECT_NEAR(static_cast<double>(data.part(Part::test).size()) / total, 0.1, 0.06);
    EXPECT_EQ(all_of(open_token_data(asked).part(Part::test)), all_of(data.part(Part::test)));
    of_seed.insert(all_of(data.part(Part::test)));
  }
  EXPECT_GT(of_seed.size(), 1u);
}

TEST_F(Shards, AreDividedByRangesWhereNoSeparatorIsKnown) {
  const Tokens tokens = draw(10'007);
  folder_.write("a.bin", llm_c(tokens));
  const TokenData data = open_token_data(options());
  Tokens together;
  for (const Part part : all_parts) {
    const Tokens here = all_of(data.part(part));
    together.insert(together.end(), here.begin(), here.end());
  }
  Tokens sorted = tokens;
  std::ranges::sort(sorted);
  std::ranges::sort(together);
  EXPECT_EQ(together, sorted);
  EXPECT_NEAR(static_cast<double>(data.part(Part::validation).size()), 1000, 520);
  EXPECT_EQ(data.bytes_of(Part::validation, 0, 100), 0);
}

TEST_F(Shards, CannotBeDividedWithoutDocumentsEnough) {
  Tokens tokens(1000, 7);
  folder_.write("a.bin", llm_c(tokens));
  auto asked = options();
  asked.separator = 9;
  EXPECT_THAT(error_of(asked), AllOf(HasSubstr("task.separator"), HasSubstr("9 does not occur")));
  tokens[0] = tokens[500] = 9;
  folder_.write("a.bin", llm_c(tokens));
  EXPECT_THAT(error_of(asked), AllOf(HasSubstr("2 documents"), HasSubstr("3 parts")));
  asked.test_fraction = 0;
  EXPECT_EQ(error_of(asked), "no error");
}

TEST_F(Shards, TokensOutsideOfTheVocabularyAreToldWithTheirPlace) {
  Tokens tokens(1000, 7);
  tokens[900] = 300;
  folder_.write("a.bin", llm_c(Tokens(50, 1)));
  folder_.write("b.bin", llm_c(tokens));
  auto asked = options();
  asked.vocabulary = 300;
  const TokenData data = open_token_data(asked);
  std::string message;
  for (const Part part : all_parts) {
    try {
      all_of(data.part(part));
    } catch (const UserError& error) {
      message = error.what();
    }
  }
  EXPECT_THAT(message, AllOf(HasSubstr("task.vocabulary"), HasSubstr("b.bin' has the token 300 at position 900"), HasSubstr("below 300")));
}

TEST_F(Shards, BehindLinksHaveTheIndexBesideTheLinksOrBesideThemselves) {
  for (int i = 0; i < 20; ++i) folder_.write("text/" + std::to_string(i), std::string(static_cast<std::size_t>(50 + i), 'a'));
  const auto packed = folder_.path() / "packed";
  for (const char* name : {"packed", "blobs", "snapshot", "links"}) std::filesystem::create_directory(folder_.path() / name);
  pack({.sources = {{folder_ / "text/*"}}, .division = {}, .separator = {}, .tick = {}}, *make_byte_tokenizer(), packed);
  for (const auto& entry : std::filesystem::directory_iterator(packed)) {
    // As the cache of a hub has it: named links to blobs, the index among them.
    const auto name = entry.path().filename();
    const auto blob = folder_.path() / "blobs" / std::to_string(std::hash<std::string>()(name));
    std::filesystem::copy_file(entry.path(), blob);
    std::filesystem::create_symlink(blob, folder_.path() / "snapshot" / name);
    if (name.extension() == ".bin") std::filesystem::create_symlink(entry.path(), folder_.path() / "links" / name);
  }
  const auto test_part = [&](const std::string& glob) {
    auto asked = options();
    asked.files = {folder_ / glob};
    asked.separator = 256;
    const TokenData data = open_token_data(asked);
    EXPECT_EQ(data.text_bytes, TextBytes::one) << "the index was not found";
    return all_of(data.part(Part::test));
  };
  const Tokens expected = test_part("packed/*.bin");
  EXPECT_EQ(test_part("snapshot/*.bin"), expected);
  EXPECT_EQ(test_part("links/*.bin"), expected);
  std::filesystem::create_symlink(packed / "test_000000.bin", folder_.path() / "held out.bin");
  EXPECT_EQ(test_part("held out.bin"), expected);
}

TEST_F(Shards, OfGigabytesAreOpenedWithoutReadingThem) {
  // A file with holes: opening it must touch little of its 64 GiB, or this test would not end.
  const auto file = folder_.write("a.bin", "");
  std::filesystem::resize_file(file, std::uintmax_t{1} << 36);
  const TokenData data = open_token_data(options());
  EXPECT_EQ(data.part(Part::training).size() + data.part(Part::validation).size() + data.part(Part::test).size(), std::int64_t{1} << 35);
}

}  // namespace
}  // namespace starling::tasks
