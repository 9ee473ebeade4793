// A task of a handful of tokens for tests: a fixed random cycle of tokens with some noise.
#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/tasks/task.hpp>

namespace starling {

class ToyTask : public tasks::Task {
 public:
  struct Settings {
    bool accuracy = false;
    std::int64_t held_out = 10;  ///< sequences
    std::int64_t length = 16;
    bool masked = false;  ///< of sequence i of a training batch the last i targets count, of the first none
  };
  ToyTask() = default;
  explicit ToyTask(Settings settings) : settings_(settings) {}

  std::int64_t vocabulary() const override { return 11; }
  std::int64_t sequence_length() const override { return settings_.length; }
  tasks::Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    tasks::Batch made = batch(Stream(seed, Purpose::test, static_cast<std::uint64_t>(step)), sequences);
    for (std::int64_t i = 0; settings_.masked && i < sequences; ++i)
      made.targets[i].slice(0, 0, settings_.length - i).fill_(tasks::ignored);
    return made;
  }
  std::int64_t held_out_batches(tasks::Split, std::int64_t sequences) const override {
    return (settings_.held_out + sequences - 1) / sequences;
  }
  tasks::Batch held_out_batch(tasks::Split split, std::int64_t number, std::int64_t sequences) const override {
    tasks::Batch all = batch(Stream(split == tasks::Split::test ? 8 : 9, Purpose::test), settings_.held_out);
    // Some targets of every other sequence are not counted.
    all.targets.slice(0, 0, {}, 2).slice(1, 3, 9).fill_(tasks::ignored);
    const std::int64_t first = number * sequences;
    return {all.inputs.slice(0, first, first + sequences).contiguous(), all.targets.slice(0, first, first + sequences).contiguous()};
  }
  std::int64_t held_out_bytes(tasks::Split) const override { return settings_.accuracy ? 0 : 100; }
  bool scored_by_accuracy() const override { return settings_.accuracy; }
  std::vector<tasks::ReferenceLoss> references() const override { return {}; }
  std::string summary() const override { return "toy"; }

 private:
  tasks::Batch batch(Stream stream, std::int64_t sequences) const {
    const std::int64_t length = settings_.length + 1;
    at::Tensor tokens = at::empty({sequences, length}, at::kLong);
    auto* token = tokens.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < sequences; ++i) {
      auto now = static_cast<std::int64_t>(stream.below(11));
      for (std::int64_t t = 0; t < length; ++t) {
        *token++ = now;
        now = stream.chance(0.05) ? static_cast<std::int64_t>(stream.below(11)) : (now * 3 + 2) % 11;
      }
    }
    return {tokens.slice(1, 0, length - 1).contiguous(), tokens.slice(1, 1, length).contiguous()};
  }

  Settings settings_{};
};

}  // namespace starling
