#include <starling/tasks/mad.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

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

MadOptions small() { return {.vocabulary = 16, .sequence_length = 32, .training_sequences = 50, .test_sequences = 20, .seed = 3}; }

TEST(InContextRecall, EachKeyKeepsItsValueAndTheTargetsAreTheNextTokens) {
  const auto task = make_mad(small());
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

TEST(InContextRecall, HeldOutPartsCountValuesOfKeysSeenBeforeAndNothingElse) {
  const auto task = make_mad(small());
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

/// All sequences of a part as (inputs, targets).
std::vector<std::pair<Sequence, Sequence>> part_of(const Task& task, std::optional<Split> split, std::int64_t sequences) {
  const auto batch = split ? task.held_out_batch(*split, 0, sequences) : task.training_batch(1, 0, sequences);
  std::vector<std::pair<Sequence, Sequence>> rows;
  for (std::int64_t i = 0; i < batch.inputs.size(0); ++i) rows.emplace_back(row(batch.inputs, i), row(batch.targets, i));
  return rows;
}

TEST(NoisyRecall, HasAsMuchNoiseAsAskedForAndOnlyInPairs) {
  auto options = mad_defaults(MadTask::noisy_recall);
  options.training_sequences = options.test_sequences = 200;
  const auto task = make_mad(options);
  int noise = 0, pairs = 0;
  for (const auto split : {std::optional<Split>(), std::optional(Split::test)}) {
    for (const auto& [inputs, targets] : part_of(*task, split, 200)) {
      ASSERT_EQ(inputs.size(), 127u);
      std::map<std::int64_t, std::int64_t> value_of;
      for (std::size_t t = 0; t < inputs.size(); t += 2) {
        const bool is_noise = inputs[t] >= 16;
        EXPECT_TRUE(is_noise || inputs[t] < 8);
        EXPECT_LT(inputs[t], 32);
        if (t + 1 < inputs.size()) {
          EXPECT_EQ(inputs[t + 1] >= 16, is_noise);
          ++pairs;
          noise += is_noise;
        } else {
          EXPECT_TRUE(value_of.contains(inputs[t])) << "the probe asks for what was there";
        }
        const auto seen = value_of.find(inputs[t]);
        if (split) {
          EXPECT_EQ(targets[t], is_noise || seen == value_of.end() ? ignored : seen->second);
        }
        if (!is_noise && t + 1 < inputs.size()) {
          EXPECT_EQ(value_of.emplace(inputs[t], inputs[t + 1]).first->second, inputs[t + 1]);
        }
      }
      if (!split) {
        EXPECT_TRUE(std::equal(inputs.begin() + 1, inputs.end(), targets.begin()));
      }
    }
  }
  // One pair of a sequence is never noise; five standard deviations of the mean are 0.013.
  EXPECT_NEAR(static_cast<double>(noise) / pairs, 0.2 * 62 / 63, 0.013);
}

/// Splits what follows the padding into its motifs: runs of keys (below `keys`) and of values.
std::vector<Sequence> motifs(const Sequence& tokens, std::int64_t keys) {
  std::vector<Sequence> found;
  for (const auto token : tokens) {
    if (found.empty() || (found.back().back() < keys) != (token < keys)) found.emplace_back();
    found.back().push_back(token);
  }
  return found;
}

TEST(FuzzyRecall, MotifsKeepTheirValuesAndTheProbeComesTwice) {
  auto options = mad_defaults(MadTask::fuzzy_recall);
  options.training_sequences = options.test_sequences = 200;
  const auto task = make_mad(options);
  constexpr std::int64_t keys = 7, padding = 15;
  for (const auto split : {std::optional<Split>(), std::optional(Split::validation)}) {
    std::set<std::size_t> key_sizes, value_sizes;
    for (const auto& [inputs, targets] : part_of(*task, split, 200)) {
      ASSERT_EQ(inputs.size(), 128u);
      const auto begin =
          static_cast<std::size_t>(std::find_if(inputs.begin(), inputs.end(), [](auto t) { return t != padding; }) - inputs.begin());
      Sequence tokens(inputs.begin() + static_cast<std::ptrdiff_t>(begin), inputs.end());
      tokens.push_back(targets.back());
      EXPECT_LE(begin, 12u) << "no more padding than a pair that did not fit";
      EXPECT_EQ(std::count(tokens.begin(), tokens.end(), padding), 0);
      const auto runs = motifs(tokens, keys);
      ASSERT_EQ(runs.size() % 2, 0u);
      std::map<Sequence, Sequence> value_of;
      std::size_t at = begin;
      for (std::size_t run = 0; run < runs.size(); run += 2) {
        const auto &key = runs[run], &value = runs[run + 1];
        EXPECT_EQ(std::set(key.begin(), key.end()).size(), key.size()) << "no token twice";
        key_sizes.insert(key.size());
        value_sizes.insert(value.size());
        const auto [entry, is_new] = value_of.emplace(key, value);
        EXPECT_EQ(entry->second, value);
        EXPECT_TRUE(run + 2 < runs.size() || !is_new) << "the probe was there before";
        // The target of input t is token t + 1.
        for (std::size_t i = 0; i < key.size() + value.size(); ++i, ++at) {
          if (at == 0) continue;
          const auto expected = i < key.size() ? ignored : is_new ? ignored : value[i - key.size()];
          const auto actual = targets[at - 1];
          if (split) {
            EXPECT_EQ(actual, expected);
          } else if (at > begin) {
            EXPECT_EQ(actual, at < inputs.size() ? inputs[at] : value.back());
          }
        }
      }
    }
    EXPECT_EQ(key_sizes, split ? std::set<std::size_t>{3} : (std::set<std::size_t>{1, 2, 3}));
    EXPECT_EQ(value_sizes, (std::set<std::size_t>{1, 2, 3}));
  }
}

TEST(SelectiveCopying, AsksForTheTokensInOrderAndForNothingElse) {
  auto options = mad_defaults(MadTask::selective_copying);
  options.training_sequences = 300;
  const auto task = make_mad(options);
  std::vector<int> taken(239);
  for (const auto& [inputs, targets] : part_of(*task, {}, 300)) {
    ASSERT_EQ(inputs.size(), 256u);
    Sequence tokens;
    for (std::size_t t = 0; t < 239; ++t) {
      if (inputs[t] == 14) continue;
      tokens.push_back(inputs[t]);
      ++taken[t];
    }
    ASSERT_EQ(tokens.size(), 16u);
    EXPECT_LT(*std::max_element(tokens.begin(), tokens.end()), 14);
    EXPECT_EQ(inputs[239], 15);
    for (std::size_t t = 240; t < 256; ++t) EXPECT_EQ(inputs[t], 14);
    EXPECT_EQ(Sequence(targets.end() - 16, targets.end()), tokens);
    EXPECT_EQ(std::count(targets.begin(), targets.end(), ignored), 240);
  }
  // Each place is taken in 300 · 16 / 239 = 20 sequences, give or take five standard deviations.
  EXPECT_TRUE(std::ranges::all_of(taken, [](int count) { return count <= 42; }));
}

TEST(Compression, AsksForEveryTokenButTheLast) {
  const auto task = make_mad(mad_defaults(MadTask::compression));
  EXPECT_TRUE(task->reconstructs());
  EXPECT_FALSE(make_mad(small())->reconstructs());
  std::set<std::int64_t> tokens;
  for (const auto& [inputs, targets] : part_of(*task, {}, 50)) {
    ASSERT_EQ(inputs.size(), 32u);
    EXPECT_TRUE(std::equal(inputs.begin(), inputs.end() - 1, targets.begin()));
    EXPECT_EQ(inputs.back(), 15);
    EXPECT_EQ(targets.back(), ignored);
    tokens.insert(inputs.begin(), inputs.end() - 1);
  }
  EXPECT_EQ(tokens.size(), 15u);
  EXPECT_EQ(*tokens.rbegin(), 14);
}

TEST(Memorisation, HasOneMapInAllPartsAndAnotherForAnotherSeed) {
  auto options = mad_defaults(MadTask::memorisation);
  const auto map_of = [&](std::uint64_t seed) {
    options.seed = seed;
    const auto task = make_mad(options);
    std::map<std::int64_t, std::int64_t> value_of;
    for (const auto split : {std::optional<Split>(), std::optional(Split::validation), std::optional(Split::test)}) {
      for (const auto& [inputs, targets] : part_of(*task, split, 200)) {
        for (std::size_t t = 0; t < inputs.size(); t += 2) {
          EXPECT_LT(inputs[t], 127);
          EXPECT_EQ(targets[t], ignored);
          EXPECT_EQ(inputs[t + 1], 255);
          EXPECT_TRUE(127 <= targets[t + 1] && targets[t + 1] < 255);
          EXPECT_EQ(value_of.emplace(inputs[t], targets[t + 1]).first->second, targets[t + 1]);
        }
      }
    }
    EXPECT_EQ(value_of.size(), 127u);
    return value_of;
  };
  const auto map = map_of(1);
  EXPECT_EQ(map, map_of(1));
  EXPECT_NE(map, map_of(2));
}

TEST(Mad, HasTheDefaultsOfThePaper) {
  const auto sizes = [](MadTask task) {
    const auto d = mad_defaults(task);
    return std::vector{d.vocabulary, d.sequence_length, d.training_sequences, d.test_sequences};
  };
  EXPECT_EQ(sizes(MadTask::in_context_recall), (std::vector<std::int64_t>{16, 128, 12800, 1280}));
  EXPECT_EQ(sizes(MadTask::noisy_recall), (std::vector<std::int64_t>{32, 128, 12800, 1280}));
  EXPECT_EQ(sizes(MadTask::fuzzy_recall), (std::vector<std::int64_t>{16, 128, 12800, 1280}));
  EXPECT_EQ(sizes(MadTask::selective_copying), (std::vector<std::int64_t>{16, 256, 12800, 1280}));
  EXPECT_EQ(sizes(MadTask::compression), (std::vector<std::int64_t>{16, 32, 12800, 1280}));
  EXPECT_EQ(sizes(MadTask::memorisation), (std::vector<std::int64_t>{256, 32, 256, 1280}));
  for (const auto& name : mad_task_names()) {
    const auto options = mad_defaults(*mad_task_named(name));
    EXPECT_EQ(name_of(options.task), name);
    EXPECT_EQ(make_mad(options)->sequence_length(), positions(options)) << name;
  }
}

TEST(Mad, AnEpochHasEverySequenceOnceInAnOrderOfItsOwn) {
  const auto task = make_mad(small());
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

TEST(Mad, PartsAreDrawnSeparatelyAndTheDataDependOnItsSeedAlone) {
  const auto task = make_mad(small());
  const auto again = make_mad(small());
  MadOptions other = small();
  other.seed = 4;
  const auto held_out = [](const auto& which, Split split) { return row(which->held_out_batch(split, 0, 1).inputs, 0); };
  EXPECT_EQ(held_out(task, Split::validation), held_out(again, Split::validation));
  EXPECT_NE(held_out(task, Split::validation), held_out(task, Split::test));
  EXPECT_NE(held_out(task, Split::validation), held_out(make_mad(other), Split::validation));
}

TEST(Mad, RefusesSettingsThatDoNotFitTheTask) {
  const auto message = [](MadOptions options) -> std::string {
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
  EXPECT_THAT(message({.task = MadTask::noisy_recall, .vocabulary = 17}),
              HasSubstr("task.vocabulary: noisy-recall expects noise_vocabulary"));
  EXPECT_THAT(message({.task = MadTask::noisy_recall, .vocabulary = 32, .noise = 1.5}), HasSubstr("task.noise"));
  EXPECT_THAT(message({.task = MadTask::fuzzy_recall, .vocabulary = 6}), HasSubstr("task.vocabulary"));
  EXPECT_THAT(message({.task = MadTask::fuzzy_recall, .sequence_length = 11}), HasSubstr("task.sequence_length"));
  EXPECT_THAT(message({.task = MadTask::selective_copying, .sequence_length = 32}), HasSubstr("at least 33"));
  EXPECT_THAT(message({.task = MadTask::compression, .vocabulary = 2}), HasSubstr("task.vocabulary"));
  EXPECT_THAT(message({.task = MadTask::memorisation, .sequence_length = 31}), HasSubstr("task.sequence_length"));
}

}  // namespace
}  // namespace starling::tasks
