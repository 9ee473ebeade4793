#include <starling/tasks/language_model.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/thousands.hpp>
#include <starling/tasks/token_data.hpp>
#include <starling/tasks/token_references.hpp>
#include <starling/tasks/windows.hpp>

namespace starling::tasks {
namespace {

using Tokens = std::vector<std::uint16_t>;

Batch empty_batch(std::int64_t sequences, std::int64_t length) {
  const auto options = at::TensorOptions().dtype(at::kLong);
  return {at::empty({sequences, length}, options), at::empty({sequences, length}, options)};
}

// A part that is predicted once.
class HeldOut {
 public:
  HeldOut(std::shared_ptr<const TokenData> data, Part part, std::int64_t length, std::int64_t cap)
      : data_(std::move(data)), part_(part), windows_({data_->part(part).size()}, length, cap) {}

  std::int64_t windows() const { return windows_.size(); }
  std::int64_t counted() const { return windows_.predicted(); }
  /// Of the text that is predicted, counted when it is asked for: nothing of a large test part is read before.
  std::int64_t bytes() const {
    std::int64_t bytes = 0;
    for (std::int64_t i = 0; i < windows(); ++i) bytes += data_->bytes_of(part_, windows_[i].begin + 1, windows_[i].predicted());
    return bytes;
  }

  /// One token of context and the tokens that are predicted.
  Tokens window(std::int64_t i) const {
    const Window window = windows_[i];
    Tokens tokens(static_cast<std::size_t>(window.values));
    data_->part(part_).copy(window.begin, tokens);
    return tokens;
  }

 private:
  std::shared_ptr<const TokenData> data_;
  Part part_;
  HeldOutWindows windows_;
};

class LanguageModel final : public Task {
 public:
  explicit LanguageModel(const LanguageModelOptions& options)
      : LanguageModel(options, std::make_shared<const TokenData>(open_token_data(options))) {}

  std::int64_t vocabulary() const override { return vocabulary_; }
  std::int64_t sequence_length() const override { return length_; }

  Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    Batch batch = empty_batch(sequences, length_);
    auto* inputs = batch.inputs.data_ptr<std::int64_t>();
    auto* targets = batch.targets.data_ptr<std::int64_t>();
    Tokens tokens(static_cast<std::size_t>(length_ + 1));
    windows_.batch(seed, step, sequences, [&](const Window& window) {
      training_.copy(window.begin, tokens);
      inputs = std::copy_n(tokens.begin(), length_, inputs);
      targets = std::copy_n(tokens.begin() + 1, length_, targets);
    });
    return batch;
  }

  std::int64_t held_out_batches(Split split, std::int64_t sequences) const override {
    return (part(split).windows() + sequences - 1) / sequences;
  }

  Batch held_out_batch(Split split, std::int64_t number, std::int64_t sequences) const override {
    const HeldOut& held_out = part(split);
    const std::int64_t first = number * sequences;
    const std::int64_t last = std::min(first + sequences, held_out.windows());
    const auto options = at::TensorOptions().dtype(at::kLong);
    Batch batch{at::full({last - first, length_}, padding, options), at::full({last - first, length_}, ignored, options)};
    auto* inputs = batch.inputs.data_ptr<std::int64_t>();
    auto* targets = batch.targets.data_ptr<std::int64_t>();
    for (std::int64_t i = first; i < last; ++i, inputs += length_, targets += length_) {
      const Tokens window = held_out.window(i);
      std::copy(window.begin(), window.end() - 1, inputs);
      std::copy(window.begin() + 1, window.end(), targets);
    }
    return batch;
  }

  std::int64_t held_out_bytes(Split split) const override { return part(split).bytes(); }
  bool scored_by_accuracy() const override { return false; }
  std::vector<ReferenceLoss> references() const override { return references_; }
  std::string summary() const override { return summary_; }

 private:
  LanguageModel(const LanguageModelOptions& options, const std::shared_ptr<const TokenData>& data)
      : length_(options.sequence_length),
        vocabulary_(data->vocabulary),
        training_(data->part(Part::training)),
        windows_({training_.size()}, length_),
        validation_(data, Part::validation, length_, options.validation_tokens),
        test_(data, Part::test, length_, options.validation_tokens) {
    const std::int64_t tokens = training_.size();
    if (tokens < length_ + 1) {
      throw UserError("task.files: the training part has " + thousands(tokens) +
                      " tokens; one sequence of task.sequence_length = " + thousands(length_) + " needs " + thousands(length_ + 1));
    }
    if (validation_.counted() == 0) {
      throw UserError("task.validation_fraction: no text is left for validation (" + data->origin + ", " + thousands(tokens) +
                      " tokens of training)");
    }
    fit_references();
    summary_ = data->origin + "; tokens: " + thousands(tokens) + " training, " + thousands(validation_.counted()) + " validation, " +
               thousands(test_.counted()) + " test";
  }

  void fit_references() {
    const TokenReferences models(training_, vocabulary_);
    double unigram = 0;
    double bigram = 0;
    for (std::int64_t i = 0; i < validation_.windows(); ++i) {
      const Tokens window = validation_.window(i);
      for (std::size_t t = 1; t < window.size(); ++t) {
        unigram += models.unigram(window[t]);
        bigram += models.bigram(window[t - 1], window[t]);
      }
    }
    const auto tokens = static_cast<double>(validation_.counted());
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    const std::int64_t bytes = validation_.bytes();
    const double bits = bytes > 0 ? std::numbers::ln2 * static_cast<double>(bytes) : unknown;
    references_ = {{"unigram", unigram / tokens, unigram / bits}, {"bigram", bigram / tokens, bigram / bits}};
  }

  const HeldOut& part(Split split) const { return split == Split::validation ? validation_ : test_; }

  static constexpr std::int64_t padding = 0;  ///< behind a short window; nothing is predicted from it

  std::int64_t length_;
  std::int64_t vocabulary_;
  TokenStream training_;
  TrainingWindows windows_;
  HeldOut validation_;
  HeldOut test_;
  std::vector<ReferenceLoss> references_;
  std::string summary_;
};

}  // namespace

std::unique_ptr<const Task> make_language_model(const LanguageModelOptions& options) {
  if (options.sequence_length < 1) {
    throw UserError("task.sequence_length: expected at least 1, found " + std::to_string(options.sequence_length));
  }
  return std::make_unique<LanguageModel>(options);
}

}  // namespace starling::tasks
