#include <starling/tasks/mad.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/mad_generators.hpp>
#include <starling/tasks/permutation.hpp>
#include <starling/tasks/thousands.hpp>

namespace starling::tasks {
namespace {

// The streams of the parts; the numbers are part of what makes the data repeatable.
enum class Part : std::uint32_t { training = 0, validation = 1, test = 2 };

class Mad final : public Task {
 public:
  Mad(const MadOptions& options, std::unique_ptr<const MadGenerator> generator) : options_(options), generator_(std::move(generator)) {}

  std::int64_t vocabulary() const override { return options_.vocabulary; }
  std::int64_t sequence_length() const override { return generator_->length(); }

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
  bool reconstructs() const override { return options_.task == MadTask::compression; }
  std::vector<ReferenceLoss> references() const override { return {}; }
  std::string summary() const override {
    return std::string(name_of(options_.task)) + ", vocabulary " + thousands(options_.vocabulary) + ", length " +
           thousands(options_.sequence_length) + "; sequences: " + thousands(options_.training_sequences) + " training, " +
           thousands(options_.test_sequences) + " validation, " + thousands(options_.test_sequences) + " test";
  }

 private:
  Batch empty_batch(std::int64_t sequences) const {
    const auto options = at::TensorOptions().dtype(at::kLong);
    return {at::empty({sequences, sequence_length()}, options), at::empty({sequences, sequence_length()}, options)};
  }

  void write(Part part, std::int64_t i, std::int64_t row, Batch& batch) const {
    Stream stream(options_.seed, Purpose::task_data, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(part));
    const auto offset = row * sequence_length();
    generator_->write(stream, part == Part::training, batch.inputs.data_ptr<std::int64_t>() + offset,
                      batch.targets.data_ptr<std::int64_t>() + offset);
  }

  MadOptions options_;
  std::unique_ptr<const MadGenerator> generator_;
};

std::unique_ptr<const MadGenerator> generator_of(const MadOptions& options) {
  switch (options.task) {
    case MadTask::in_context_recall:
    case MadTask::noisy_recall:
      return recall_generator(options);
    case MadTask::fuzzy_recall:
      return fuzzy_recall_generator(options);
    case MadTask::selective_copying:
      return selective_copying_generator(options);
    case MadTask::compression:
      return compression_generator(options);
    case MadTask::memorisation:
      return memorisation_generator(options);
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<const Task> make_mad(const MadOptions& options) {
  if (const auto wrong = objection(options)) {
    throw UserError("task." + std::string(wrong->field) + ": " + std::string(name_of(options.task)) + " expects " + wrong->expected +
                    "; found " + wrong->found);
  }
  return std::make_unique<Mad>(options, generator_of(options));
}

}  // namespace starling::tasks
