#include <starling/tasks/mad_generators.hpp>

#include <algorithm>

#include <starling/tasks/task.hpp>

namespace starling::tasks {
namespace {

class SelectiveCopying final : public MadGenerator {
 public:
  explicit SelectiveCopying(const MadOptions& options)
      : length_(options.sequence_length), copied_(options.copied), vocabulary_(options.vocabulary) {}

  std::int64_t length() const override { return length_; }

  void write(Stream& stream, bool, std::int64_t* inputs, std::int64_t* targets) const override {
    const auto before = length_ - copied_ - 1;  // tokens and the blanks among them
    const auto blank = vocabulary_ - 2;
    std::fill_n(targets, length_, ignored);
    // Of the places that are left each is taken with the probability that makes all choices equally likely (Knuth, algorithm S).
    std::int64_t left = copied_;
    for (std::int64_t t = 0; t < before; ++t) {
      const bool taken = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(before - t))) < left;
      inputs[t] = taken ? static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(blank))) : blank;
      if (taken) targets[length_ - left--] = inputs[t];
    }
    inputs[before] = vocabulary_ - 1;
    std::fill_n(inputs + before + 1, copied_, blank);
  }

 private:
  std::int64_t length_, copied_, vocabulary_;
};

class Compression final : public MadGenerator {
 public:
  explicit Compression(const MadOptions& options) : length_(options.sequence_length), vocabulary_(options.vocabulary) {}

  std::int64_t length() const override { return length_; }

  void write(Stream& stream, bool, std::int64_t* inputs, std::int64_t* targets) const override {
    for (std::int64_t t = 0; t + 1 < length_; ++t) {
      inputs[t] = targets[t] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(vocabulary_ - 1)));
    }
    inputs[length_ - 1] = vocabulary_ - 1;
    targets[length_ - 1] = ignored;
  }

 private:
  std::int64_t length_, vocabulary_;
};

}  // namespace

std::unique_ptr<const MadGenerator> selective_copying_generator(const MadOptions& options) {
  return std::make_unique<SelectiveCopying>(options);
}

std::unique_ptr<const MadGenerator> compression_generator(const MadOptions& options) { return std::make_unique<Compression>(options); }

}  // namespace starling::tasks
