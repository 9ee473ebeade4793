#include <starling/tasks/mad_recall.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/permutation.hpp>
#include <starling/tasks/thousands.hpp>

namespace starling::tasks {
namespace {

// The streams of the parts; the numbers are part of what makes the data repeatable.
enum class Part : std::uint32_t { training = 0, validation = 1, test = 2 };

class MadRecall final : public Task {
 public:
  explicit MadRecall(const MadRecallOptions& options) : options_(options) {}

  std::int64_t vocabulary() const override { return options_.vocabulary; }
  std::int64_t sequence_length() const override { return options_.sequence_length - 1; }

  Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    Batch batch = empty_batch(sequences);
    std::int64_t position = step * sequences;
    for (std::int64_t filled = 0; filled < sequences;) {
      const std::int64_t epoch = position / options_.training_sequences;
      Stream stream(seed, Purpose::data_order, static_cast<std::uint64_t>(epoch));
      const Permutation order(static_cast<std::uint64_t>(options_.training_sequences), stream);
      for (; filled < sequences && position < (epoch + 1) * options_.training_sequences; ++filled, ++position) {
        const std::uint64_t sequence = order(static_cast<std::uint64_t>(position % options_.training_sequences));
        write(Part::training, static_cast<std::int64_t>(sequence), filled, batch);
      }
    }
    return batch;
  }

  std::int64_t held_out_batches(Split, std::int64_t sequences) const override {
    return (options_.test_sequences + sequences - 1) / sequences;
  }

  Batch held_out_batch(Split split, std::int64_t number, std::int64_t sequences) const override {
    const std::int64_t first = number * sequences;
    const std::int64_t last = std::min(first + sequences, options_.test_sequences);
    Batch batch = empty_batch(last - first);
    for (std::int64_t i = first; i < last; ++i) {
      write(split == Split::validation ? Part::validation : Part::test, i, i - first, batch);
    }
    return batch;
  }

  std::int64_t held_out_bytes(Split) const override { return 0; }
  bool scored_by_accuracy() const override { return true; }
  std::vector<ReferenceLoss> references() const override { return {}; }
  std::string summary() const override {
    return "in-context recall, vocabulary " + thousands(options_.vocabulary) + ", length " + thousands(options_.sequence_length) +
           "; sequences: " + thousands(options_.training_sequences) + " training, " + thousands(options_.test_sequences) + " validation, " +
           thousands(options_.test_sequences) + " test";
  }

 private:
  Batch empty_batch(std::int64_t sequences) const {
    const auto options = at::TensorOptions().dtype(at::kLong);
    return {at::empty({sequences, sequence_length()}, options), at::empty({sequences, sequence_length()}, options)};
  }

  // Sequence i of a part into row `row`: inputs are the tokens but the last, targets those but the first.
  void write(Part part, std::int64_t i, std::int64_t row, Batch& batch) const {
    const auto keys = static_cast<std::uint64_t>(options_.vocabulary / 2);
    const std::int64_t pairs = options_.sequence_length / 2;
    Stream stream(options_.seed, Purpose::task_data, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(part));
    std::vector<std::int64_t> value_of(keys, -1);
    std::vector<std::size_t> seen;  // keys in order of first use
    std::int64_t* input = batch.inputs.data_ptr<std::int64_t>() + row * sequence_length();
    std::int64_t* target = batch.targets.data_ptr<std::int64_t>() + row * sequence_length();
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const bool probe = pair + 1 == pairs;
      const std::size_t key = probe ? seen[stream.below(seen.size())] : static_cast<std::size_t>(stream.below(keys));
      const bool known = value_of[key] >= 0;
      if (!known) {
        value_of[key] = static_cast<std::int64_t>(keys + stream.below(keys));
        seen.push_back(key);
      }
      if (pair > 0) *target++ = part == Part::training ? static_cast<std::int64_t>(key) : ignored;
      *target++ = part == Part::training || known ? value_of[key] : ignored;
      *input++ = static_cast<std::int64_t>(key);
      if (!probe) *input++ = value_of[key];
    }
  }

  MadRecallOptions options_;
};

void require_even(const char* key, std::int64_t value, std::int64_t least) {
  if (value >= least && value % 2 == 0) return;
  throw UserError(std::string(key) + ": in-context recall expects an even number of at least " + std::to_string(least) + ", found " +
                  std::to_string(value));
}

void require_positive(const char* key, std::int64_t value) {
  if (value > 0) return;
  throw UserError(std::string(key) + ": expected at least 1, found " + std::to_string(value));
}

}  // namespace

std::unique_ptr<const Task> make_mad_recall(const MadRecallOptions& options) {
  require_even("task.vocabulary", options.vocabulary, 4);
  require_even("task.sequence_length", options.sequence_length, 4);
  require_positive("task.training_sequences", options.training_sequences);
  require_positive("task.test_sequences", options.test_sequences);
  return std::make_unique<MadRecall>(options);
}

}  // namespace starling::tasks
