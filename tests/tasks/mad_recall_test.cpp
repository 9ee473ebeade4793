#include <starling/tasks/mad_recall.hpp>

#include <gmock/gmock.h>

#include <map>
#include <set>

#include <starling/base/error.hpp>
#include <starling/tasks/make_task.hpp>

namespace starling::tasks {
namespace {

using ::testing::HasSubstr;

using Sequence = std::vector<std::int64_t>;

Sequence row(const at::Tensor& tensor, std::int64_t i) {
  const auto* data = tensor.data_ptr<std::int64_t>() + i * tensor.size(1);
  return {data, data + tensor.size(1)};
}

MadRecallOptions small() { return {.vocabulary = 16, .sequence_length = 32, .training_sequences = 50, .test_sequences = 20, .seed = 3}; }

TEST(MadRecall, EachKeyKeepsItsValueAndTheTargetsAreTheNextTokens) {
  const auto task = make_mad_recall(small());
  const Batch batch = task->training_batch(1, 0, 50);
  ASSERT_EQ(batch.inputs.size(1), 31);
  std::set<std::int64_t> keys;
  std::set<std::int64_t> values;
  for (std::int64_t i = 0; i < 50; ++i) {
    const Sequence inputs = row(batch.inputs, i);
    const Sequence targets = row(batch.targets, i);
    EXPECT_TRUE(std::equal(inputs.begin() + 1, inputs.end(), targets.begin()));
    Sequence tokens = inputs;
    tokens.push_back(targets.back());
    std::map<std::int64_t, std::int64_t> value_of;
    for (std::size_t pair = 0; pair < 16; ++pair) {
      const std::int64_t key = tokens[2 * pair];
      const std::int64_t value = tokens[2 * pair + 1];
      EXPECT_TRUE(0 <= key && key < 8 && 8 <= value && value < 16);
      EXPECT_TRUE(pair < 15 || value_of.contains(key)) << "the last pair repeats a key";
      EXPECT_EQ(value_of.emplace(key, value).first->second, value);
      keys.insert(key);
      values.insert(value);
    }
  }
  EXPECT_EQ(keys.size(), 8u);
  EXPECT_EQ(values.size(), 8u);
}

TEST(MadRecall, HeldOutPartsCountValuesOfKeysSeenBeforeAndNothingElse) {
  const auto task = make_mad_recall(small());
  for (const Split split : {Split::validation, Split::test}) {
    std::int64_t sequences = 0;
    for (std::int64_t number = 0; number < task->held_out_batches(split, 7); ++number) {
      const Batch batch = task->held_out_batch(split, number, 7);
      for (std::int64_t i = 0; i < batch.inputs.size(0); ++i, ++sequences) {
        const Sequence inputs = row(batch.inputs, i);
        const Sequence targets = row(batch.targets, i);
        std::map<std::int64_t, std::int64_t> value_of;
        for (std::size_t t = 0; t < inputs.size(); t += 2) {
          const auto seen = value_of.find(inputs[t]);
          EXPECT_EQ(targets[t], seen == value_of.end() ? ignored : seen->second);
          if (t + 1 == inputs.size()) break;
          EXPECT_EQ(targets[t + 1], ignored);
          value_of[inputs[t]] = inputs[t + 1];
        }
        EXPECT_NE(targets.back(), ignored);
      }
    }
    EXPECT_EQ(sequences, 20);
  }
}

TEST(MadRecall, AnEpochHasEverySequenceOnceInAnOrderOfItsOwn) {
  const auto task = make_mad_recall(small());
  std::vector<std::multiset<Sequence>> epochs(2);
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    for (std::int64_t step = 0; step < 5; ++step) {
      const Batch batch = task->training_batch(1, epoch * 5 + step, 10);
      for (std::int64_t i = 0; i < 10; ++i) epochs[static_cast<std::size_t>(epoch)].insert(row(batch.inputs, i));
    }
  }
  EXPECT_EQ(epochs[0], epochs[1]);
  EXPECT_NE(row(task->training_batch(1, 0, 10).inputs, 0), row(task->training_batch(1, 5, 10).inputs, 0));
  EXPECT_NE(row(task->training_batch(1, 0, 10).inputs, 0), row(task->training_batch(2, 0, 10).inputs, 0));
}

TEST(MadRecall, PartsAreDrawnSeparatelyAndTheDataDependOnItsSeedAlone) {
  const auto task = make_mad_recall(small());
  const auto again = make_mad_recall(small());
  MadRecallOptions other = small();
  other.seed = 4;
  const auto held_out = [](const auto& which, Split split) { return row(which->held_out_batch(split, 0, 1).inputs, 0); };
  EXPECT_EQ(held_out(task, Split::validation), held_out(again, Split::validation));
  EXPECT_NE(held_out(task, Split::validation), held_out(task, Split::test));
  EXPECT_NE(held_out(task, Split::validation), held_out(make_mad_recall(other), Split::validation));
}

TEST(MadRecall, RefusesOddSizes) {
  const auto message = [](MadRecallOptions options) -> std::string {
    try {
      make_task(options);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(small()), "no error");
  EXPECT_THAT(message({.vocabulary = 15}), HasSubstr("task.vocabulary"));
  EXPECT_THAT(message({.sequence_length = 3}), HasSubstr("task.sequence_length"));
  EXPECT_THAT(message({.training_sequences = 0}), HasSubstr("task.training_sequences"));
  EXPECT_THAT(message({.test_sequences = -1}), HasSubstr("task.test_sequences"));
}

}  // namespace
}  // namespace starling::tasks
