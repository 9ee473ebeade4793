#include <starling/tasks/language_model.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/token_data.hpp>
#include <starling/tasks/token_references.hpp>

#include <support/temporary_folder.hpp>

namespace starling::tasks {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const auto* data = tensor.data_ptr<std::int64_t>();
  return {data, data + tensor.numel()};
}

std::vector<std::uint16_t> stream_of(const std::vector<std::string>& documents) {
  std::vector<std::uint16_t> stream;
  for (const std::string& text : documents) {
    stream.push_back(256);
    for (const char c : text) stream.push_back(static_cast<unsigned char>(c));
  }
  return stream;
}

class LanguageModel : public ::testing::Test {
 protected:
  LanguageModel() {
    Stream random(1, Purpose::test);
    for (int i = 0; i < 40; ++i) {
      std::string text = std::to_string(i) + " ";
      const std::size_t size = 20 + random.below(200);
      while (text.size() < size) text += static_cast<char>(random.below(256));
      folder_.write(std::to_string(i) + ".txt", text);
    }
    options_.files = {folder_ / "*.txt"};
    options_.sequence_length = 16;
    options_.seed = 5;
  }

  Corpus corpus() const {
    return read_corpus({options_.files},
                       {.validation = options_.validation_fraction, .test = options_.test_fraction, .seed = options_.seed});
  }

  std::string error() const {
    try {
      make_language_model(options_);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  LanguageModelOptions options_;
};

TEST_F(LanguageModel, HeldOutPartsPredictEveryTokenOnceAndInOrder) {
  const auto task = make_language_model(options_);
  Corpus files = corpus();
  for (const auto& [split, part] : {std::pair(Split::validation, Part::validation), std::pair(Split::test, Part::test)}) {
    const std::vector<std::uint16_t> stream = stream_of(files.part(part));
    for (const std::int64_t sequences : {1, 3, 64}) {
      std::vector<std::int64_t> predicted;
      std::vector<std::int64_t> context;
      for (std::int64_t i = 0; i < task->held_out_batches(split, sequences); ++i) {
        const Batch batch = task->held_out_batch(split, i, sequences);
        ASSERT_EQ(batch.inputs.sizes(), batch.targets.sizes());
        ASSERT_EQ(batch.inputs.size(1), 16);
        const auto inputs = values(batch.inputs);
        const auto targets = values(batch.targets);
        for (std::size_t t = 0; t < targets.size(); ++t) {
          if (targets[t] == ignored) continue;
          predicted.push_back(targets[t]);
          context.push_back(inputs[t]);
        }
      }
      EXPECT_TRUE(std::equal(predicted.begin(), predicted.end(), stream.begin() + 1, stream.end()));
      EXPECT_TRUE(std::equal(context.begin(), context.end(), stream.begin(), stream.end() - 1));
    }
    std::int64_t bytes = 0;
    for (const std::string& text : files.part(part)) bytes += std::ssize(text);
    EXPECT_EQ(task->held_out_bytes(split), bytes);
  }
}

TEST_F(LanguageModel, TheCapCountsExactlyItsTokensInWindowsSpreadOverThePart) {
  const auto whole = make_language_model(options_);
  std::vector<std::vector<std::int64_t>> all;
  for (std::int64_t i = 0; i < whole->held_out_batches(Split::validation, 1); ++i) {
    all.push_back(values(whole->held_out_batch(Split::validation, i, 1).targets));
  }
  for (const std::int64_t cap : {1, 16, 100, 333}) {
    options_.validation_tokens = cap;
    const auto task = make_language_model(options_);
    std::int64_t counted = 0;
    std::int64_t bytes = 0;
    std::set<std::size_t> windows;
    for (std::int64_t i = 0; i < task->held_out_batches(Split::validation, 1); ++i) {
      const auto targets = values(task->held_out_batch(Split::validation, i, 1).targets);
      const std::int64_t here = 16 - std::ranges::count(targets, ignored);
      counted += here;
      bytes += here - std::ranges::count(targets, byte_separator);
      const auto at = std::ranges::find_if(
          all, [&](const auto& window) { return std::equal(targets.begin(), targets.begin() + here, window.begin()); });
      ASSERT_NE(at, all.end());
      windows.insert(static_cast<std::size_t>(at - all.begin()));
    }
    EXPECT_EQ(counted, cap);
    EXPECT_EQ(bytes, task->held_out_bytes(Split::validation));
    EXPECT_EQ(std::ssize(windows), (cap + 15) / 16);
    if (windows.size() > 4) {
      EXPECT_GT(*windows.rbegin(), all.size() / 2);
    }
  }
  options_.validation_tokens = 1'000'000'000;
  EXPECT_EQ(make_language_model(options_)->held_out_bytes(Split::validation), whole->held_out_bytes(Split::validation));
}

TEST_F(LanguageModel, ATrainingBatchIsAFunctionOfSeedStepAndSizeAlone) {
  const auto task = make_language_model(options_);
  const auto again = make_language_model(options_);
  for (const std::int64_t step : {7, 0, 1000, 3}) {
    EXPECT_EQ(values(task->training_batch(9, step, 5).inputs), values(again->training_batch(9, step, 5).inputs));
  }
  EXPECT_NE(values(task->training_batch(9, 0, 5).inputs), values(task->training_batch(10, 0, 5).inputs));
  // Batches are slices of one endless order of sequences.
  const Batch six = task->training_batch(9, 0, 6);
  EXPECT_EQ(values(task->training_batch(9, 1, 3).inputs), values(six.inputs.slice(0, 3, 6).contiguous()));
}

TEST_F(LanguageModel, AnEpochVisitsEachWindowOnceAndTheNextOneHasAnotherPhase) {
  const auto task = make_language_model(options_);
  Corpus files = corpus();
  const std::vector<std::uint16_t> stream = stream_of(files.part(Part::training));
  std::map<std::vector<std::int64_t>, std::int64_t> place;
  for (std::int64_t begin = 0; begin + 16 <= std::ssize(stream); ++begin)
    place[{stream.begin() + begin, stream.begin() + begin + 16}] = begin;
  const std::int64_t windows = (std::ssize(stream) - 16) / 16;
  std::set<std::int64_t> phases;
  for (std::int64_t epoch = 0; epoch < 8; ++epoch) {
    std::set<std::int64_t> begins;
    std::vector<std::int64_t> order;
    for (std::int64_t i = 0; i < windows; ++i) {
      const Batch batch = task->training_batch(1, epoch * windows + i, 1);
      const auto inputs = values(batch.inputs);
      const auto targets = values(batch.targets);
      ASSERT_TRUE(place.contains(inputs));
      order.push_back(place[inputs]);
      begins.insert(place[inputs]);
      EXPECT_TRUE(std::equal(targets.begin(), targets.end() - 1, inputs.begin() + 1));
      EXPECT_EQ(targets.back(), stream[static_cast<std::size_t>(place[inputs] + 16)]);
    }
    EXPECT_EQ(std::ssize(begins), windows);
    EXPECT_FALSE(std::ranges::is_sorted(order));
    for (const std::int64_t begin : begins) EXPECT_EQ(begin % 16, *begins.begin() % 16);
    phases.insert(*begins.begin() % 16);
  }
  EXPECT_GT(phases.size(), 3u);
}

TEST_F(LanguageModel, ReferencesAreCountedOverTheValidationTargets) {
  for (const std::int64_t cap : {0, 100}) {
    options_.validation_tokens = cap;
    const auto task = make_language_model(options_);
    const TokenReferences models(TokenStream(stream_of(corpus().part(Part::training))), byte_vocabulary);
    double unigram = 0;
    double bigram = 0;
    double counted = 0;
    for (std::int64_t i = 0; i < task->held_out_batches(Split::validation, 4); ++i) {
      const Batch batch = task->held_out_batch(Split::validation, i, 4);
      const auto inputs = values(batch.inputs);
      const auto targets = values(batch.targets);
      for (std::size_t t = 0; t < targets.size(); ++t) {
        if (targets[t] == ignored) continue;
        unigram += models.unigram(static_cast<std::uint16_t>(targets[t]));
        bigram += models.bigram(static_cast<std::uint16_t>(inputs[t]), static_cast<std::uint16_t>(targets[t]));
        ++counted;
      }
    }
    const auto references = task->references();
    ASSERT_EQ(references.size(), 2u);
    EXPECT_EQ(references[0].name, "unigram");
    EXPECT_NEAR(references[0].loss, unigram / counted, 1e-9);
    EXPECT_EQ(references[1].name, "bigram");
    EXPECT_NEAR(references[1].loss, bigram / counted, 1e-9);
    EXPECT_NEAR(references[1].bits_per_byte, bigram / (std::numbers::ln2 * static_cast<double>(task->held_out_bytes(Split::validation))),
                1e-9);
  }
}

TEST_F(LanguageModel, TheTextMayBeNoLongerThanOneSequence) {
  options_.test_fraction = 0;
  const std::int64_t tokens = std::ssize(stream_of(corpus().part(Part::training)));
  options_.sequence_length = tokens - 1;
  const auto task = make_language_model(options_);
  EXPECT_EQ(values(task->training_batch(1, 0, 2).inputs).front(), 256);
  EXPECT_EQ(task->held_out_batches(Split::test, 1), 0);
  EXPECT_EQ(task->held_out_bytes(Split::test), 0);
  options_.sequence_length = tokens;
  EXPECT_THAT(error(), AllOf(HasSubstr("task.sequence_length"), HasSubstr("training part has")));
}

TEST_F(LanguageModel, RefusesToGoWithoutValidation) {
  options_.validation_fraction = 0;
  EXPECT_THAT(error(), HasSubstr("task.validation_fraction"));
  options_.sequence_length = 0;
  EXPECT_THAT(error(), HasSubstr("task.sequence_length"));
}

// Tokens of documents in a shard, as nanoGPT writes it.
std::filesystem::path write_shard(const TemporaryFolder& folder, const std::string& name, std::uint64_t seed) {
  Stream random(seed, Purpose::test);
  std::vector<std::uint16_t> tokens;
  for (int document = 0; document < 60; ++document) {
    const auto size = 20 + random.below(100);
    for (std::uint64_t i = 0; i < size; ++i) tokens.push_back(static_cast<std::uint16_t>(random.below(2000)));
    tokens.push_back(2000);
  }
  return folder.write(name, {reinterpret_cast<const char*>(tokens.data()), 2 * tokens.size()});
}

TEST_F(LanguageModel, OnShardsPredictsEveryHeldOutTokenOnceAndEveryWindowOfAnEpoch) {
  write_shard(folder_, "a.bin", 1);
  write_shard(folder_, "b.bin", 2);
  options_ = {.files = {folder_ / "*.bin"}, .shards = true, .vocabulary = 2001, .separator = 2000, .bytes = false, .sequence_length = 16};
  const auto task = make_language_model(options_);
  const TokenData data = open_token_data(options_);
  EXPECT_EQ(task->vocabulary(), 2001);
  for (const auto& [split, part] : {std::pair(Split::validation, Part::validation), std::pair(Split::test, Part::test)}) {
    std::vector<std::uint16_t> stream(static_cast<std::size_t>(data.part(part).size()));
    data.part(part).copy(0, stream);
    std::vector<std::int64_t> predicted;
    for (std::int64_t i = 0; i < task->held_out_batches(split, 5); ++i) {
      for (const std::int64_t target : values(task->held_out_batch(split, i, 5).targets)) {
        if (target != ignored) predicted.push_back(target);
      }
    }
    EXPECT_TRUE(std::equal(predicted.begin(), predicted.end(), stream.begin() + 1, stream.end()));
    EXPECT_EQ(task->held_out_bytes(split), 0);
  }
  EXPECT_TRUE(std::isnan(task->references()[0].bits_per_byte));
  EXPECT_GT(task->references()[0].loss, 6);
  // Whatever was asked before, a position is the same sample.
  const auto again = make_language_model(options_);
  const std::int64_t windows = (data.part(Part::training).size() - 16) / 16;
  std::set<std::vector<std::int64_t>> epoch;
  for (std::int64_t i = 0; i < windows; ++i) epoch.insert(values(task->training_batch(3, i, 1).inputs));
  EXPECT_EQ(std::ssize(epoch), windows);
  for (const std::int64_t i : {windows - 1, std::int64_t{0}, 5 * windows + 3}) {
    EXPECT_EQ(values(again->training_batch(3, i, 1).inputs), values(task->training_batch(3, i, 1).inputs));
  }
}

// A model that gives every token a probability known in advance: its perplexity and bits per byte are counted by hand.
TEST_F(LanguageModel, PerplexityAndBitsPerByteAreThoseOfAHandCount) {
  std::filesystem::remove_all(folder_.path());
  // Whichever two documents are validation: all have ten bytes, one of them b.
  for (std::size_t i = 0; i < 10; ++i) {
    folder_.write(std::to_string(i) + ".txt", std::string(i, 'a') + "b" + std::string(9 - i, 'c'));
  }
  options_ = {.files = {folder_ / "*.txt"}, .sequence_length = 4, .validation_fraction = 0.2, .test_fraction = 0, .seed = 3};
  const auto task = make_language_model(options_);
  const auto nats = [](std::int64_t token) { return token == byte_separator ? 3.0 : token == 'b' ? 2.0 : 0.5; };
  double sum = 0;
  std::int64_t counted = 0;
  for (std::int64_t i = 0; i < task->held_out_batches(Split::validation, 3); ++i) {
    for (const std::int64_t target : values(task->held_out_batch(Split::validation, i, 3).targets)) {
      if (target == ignored) continue;
      sum += nats(target);
      ++counted;
    }
  }
  // Two documents of ten bytes; the separator of the first is context, that of the second is predicted.
  EXPECT_EQ(counted, 21);
  EXPECT_DOUBLE_EQ(sum, 3.0 + 2 * 2.0 + 18 * 0.5);
  EXPECT_EQ(task->held_out_bytes(Split::validation), 20);
}

TEST_F(LanguageModel, OnShardsRefusesTokensThatTheModelWouldNotKnow) {
  write_shard(folder_, "a.bin", 1);
  options_ = {.files = {folder_ / "*.bin"}, .shards = true, .vocabulary = 2000, .separator = {}, .bytes = false, .sequence_length = 16};
  EXPECT_THAT(error(), AllOf(HasSubstr("task.vocabulary"), HasSubstr("a.bin"), HasSubstr("token 2000")));
}

TEST_F(LanguageModel, SaysWhatItHas) {
  EXPECT_THAT(make_language_model(options_)->summary(), AllOf(HasSubstr("40 files"), HasSubstr("training"), HasSubstr("validation")));
}

}  // namespace
}  // namespace starling::tasks
