#include <starling/tasks/language_model.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/corpus.hpp>
#include <starling/tasks/permutation.hpp>
#include <starling/tasks/thousands.hpp>
#include <starling/tasks/token_references.hpp>

namespace starling::tasks {
namespace {

using Tokens = std::vector<std::uint16_t>;

// Frees each document once it is in the stream, so that the text is in memory about once.
Tokens join(std::vector<std::string>& documents) {
  std::size_t size = documents.size();
  for (const std::string& document : documents) size += document.size();
  Tokens tokens;
  tokens.reserve(size);
  for (std::string& document : documents) {
    tokens.push_back(static_cast<std::uint16_t>(byte_separator));
    for (const char c : document) tokens.push_back(static_cast<unsigned char>(c));
    document = {};
  }
  return tokens;
}

Batch empty_batch(std::int64_t sequences, std::int64_t length) {
  const auto options = at::TensorOptions().dtype(at::kLong);
  return {at::empty({sequences, length}, options), at::empty({sequences, length}, options)};
}

// A part that is predicted once, in windows.
class HeldOut {
 public:
  HeldOut(Tokens tokens, std::int64_t length, std::int64_t cap) : tokens_(std::move(tokens)), length_(length) {
    const std::int64_t available = std::max<std::int64_t>(0, std::ssize(tokens_) - 1);
    counted_ = cap > 0 ? std::min(cap, available) : available;
    windows_ = (counted_ + length - 1) / length;
    windows_there_ = (available + length - 1) / length;
    for (std::int64_t i = 0; i < windows_; ++i) {
      for (const std::uint16_t token : window(i).subspan(1)) bytes_ += token != byte_separator;
    }
  }

  std::int64_t windows() const { return windows_; }
  std::int64_t counted() const { return counted_; }
  std::int64_t bytes() const { return bytes_; }

  /// One token of context and the tokens that are predicted: `length` of them but in the last window. Under a cap the windows are spread
  /// evenly; the very last one of the part, which may be short, is then not among them.
  std::span<const std::uint16_t> window(std::int64_t i) const {
    const std::int64_t begin = i * windows_there_ / windows_ * length_;
    const std::int64_t predicted = std::min(length_, counted_ - i * length_);
    return std::span(tokens_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(predicted + 1));
  }

 private:
  Tokens tokens_;
  std::int64_t length_;
  std::int64_t counted_ = 0;
  std::int64_t windows_ = 0;
  std::int64_t windows_there_ = 0;
  std::int64_t bytes_ = 0;
};

class LanguageModel final : public Task {
 public:
  explicit LanguageModel(const LanguageModelOptions& options) : LanguageModel(options, read(options)) {}

  std::int64_t vocabulary() const override { return byte_vocabulary; }
  std::int64_t sequence_length() const override { return length_; }

  Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const override {
    Batch batch = empty_batch(sequences, length_);
    auto* inputs = batch.inputs.data_ptr<std::int64_t>();
    auto* targets = batch.targets.data_ptr<std::int64_t>();
    std::int64_t position = step * sequences;
    for (std::int64_t filled = 0; filled < sequences;) {
      Stream stream(seed, Purpose::data_order, static_cast<std::uint64_t>(position / windows_));
      const auto phase = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(phases_)));
      const Permutation order(static_cast<std::uint64_t>(windows_), stream);
      const std::int64_t epoch_end = (position / windows_ + 1) * windows_;
      for (; filled < sequences && position < epoch_end; ++filled, ++position) {
        const auto window = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(position % windows_)));
        const std::uint16_t* tokens = training_.data() + phase + window * length_;
        inputs = std::copy_n(tokens, length_, inputs);
        targets = std::copy_n(tokens + 1, length_, targets);
      }
    }
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
    Batch batch{at::full({last - first, length_}, byte_separator, options), at::full({last - first, length_}, ignored, options)};
    auto* inputs = batch.inputs.data_ptr<std::int64_t>();
    auto* targets = batch.targets.data_ptr<std::int64_t>();
    for (std::int64_t i = first; i < last; ++i, inputs += length_, targets += length_) {
      const std::span<const std::uint16_t> window = held_out.window(i);
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
  static Corpus read(const LanguageModelOptions& options) {
    return read_corpus(
        {.globs = options.files, .text_key = options.text_key},
        {.max_bytes = options.max_bytes, .validation = options.validation_fraction, .test = options.test_fraction, .seed = options.seed});
  }

  LanguageModel(const LanguageModelOptions& options, Corpus corpus)
      : length_(options.sequence_length),
        training_(join(corpus.part(Part::training))),
        validation_(join(corpus.part(Part::validation)), length_, options.validation_tokens),
        test_(join(corpus.part(Part::test)), length_, 0) {
    const std::int64_t tokens = std::ssize(training_);
    if (tokens < length_ + 1) {
      throw UserError("task.files: the training part has " + thousands(tokens) +
                      " tokens; one sequence of task.sequence_length = " + thousands(length_) + " needs " + thousands(length_ + 1));
    }
    if (validation_.counted() == 0) {
      throw UserError("task.validation_fraction: no text is left for validation (" + thousands(corpus.files) + " files, " +
                      thousands(tokens) + " tokens of training)");
    }
    // As many windows as fit whatever the phase, so that every epoch has the same number; of a short text at least one.
    windows_ = std::max<std::int64_t>(1, (tokens - length_) / length_);
    phases_ = std::min(length_, tokens - windows_ * length_);
    fit_references();
    describe(corpus);
  }

  void fit_references() {
    const TokenReferences models(training_, byte_vocabulary);
    double unigram = 0;
    double bigram = 0;
    for (std::int64_t i = 0; i < validation_.windows(); ++i) {
      const std::span<const std::uint16_t> window = validation_.window(i);
      for (std::size_t t = 1; t < window.size(); ++t) {
        unigram += models.unigram(window[t]);
        bigram += models.bigram(window[t - 1], window[t]);
      }
    }
    const auto tokens = static_cast<double>(validation_.counted());
    const double bits = std::numbers::ln2 * static_cast<double>(validation_.bytes());
    references_ = {{"unigram", unigram / tokens, unigram / bits}, {"bigram", bigram / tokens, bigram / bits}};
  }

  void describe(const Corpus& corpus) {
    summary_ = thousands(corpus.files) + (corpus.files == corpus.found ? "" : " of " + thousands(corpus.found)) +
               " files" +
               (corpus.documents == corpus.files ? "" : ", " + thousands(corpus.documents) + " documents") + "; tokens: " + thousands(std::ssize(training_)) + " training, " + thousands(validation_.counted()) + " validation, " +
               thousands(test_.counted()) + " test";
  }

  const HeldOut& part(Split split) const { return split == Split::validation ? validation_ : test_; }

  std::int64_t length_;
  Tokens training_;
  HeldOut validation_;
  HeldOut test_;
  std::int64_t windows_ = 0;  ///< per epoch
  std::int64_t phases_ = 0;
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
