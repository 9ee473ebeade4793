// A task: where the tokens or numbers of a batch come from and what its results mean.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace starling::tasks {

inline constexpr std::int64_t ignored = -100;  ///< target that is not counted

/// inputs and targets: int64 (batch, length); targets are `ignored` where nothing is predicted. Of a series float (batch, length, channels);
/// targets are NaN where nothing is predicted.
struct Batch {
  at::Tensor inputs;
  at::Tensor targets;
};

/// Targets of a batch that count: what the mean of a loss is taken over.
std::int64_t counted_targets(const at::Tensor& targets);

enum class Split { validation, test };

/// What a simple model reaches on the validation part.
struct ReferenceLoss {
  std::string name;
  double loss = 0;  ///< nats per token; of a series the mean squared error
  double bits_per_byte = 0;
};

/// Immutable after construction and safe to read from several threads.
class Task {
 public:
  virtual ~Task() = default;
  /// Tokens there are; 0 for a series.
  virtual std::int64_t vocabulary() const = 0;
  /// Columns of a series; 0 where there are tokens.
  virtual std::int64_t channels() const { return 0; }
  virtual std::int64_t sequence_length() const = 0;
  /// Batch number `step` of the run with this seed: a pure function of its arguments (sample order is a stateless permutation of (seed,
  /// epoch, position)). Where the CPU trains, made on the training thread: of text or mapped tokens that takes 1 to 3 ns a token, training a
  /// token 27 µs on a core, so that a thread which fetches ahead would gain nothing. For a device one does.
  virtual Batch training_batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences) const = 0;
  /// The whole held-out part in order: every counted target stands in exactly one batch, at exactly one place.
  virtual std::int64_t held_out_batches(Split split, std::int64_t sequences) const = 0;
  virtual Batch held_out_batch(Split split, std::int64_t number, std::int64_t sequences) const = 0;
  /// Bytes of text in the held-out part; 0 where bits per byte mean nothing.
  virtual std::int64_t held_out_bytes(Split split) const = 0;
  /// Quality is 1 − accuracy instead of the loss.
  virtual bool scored_by_accuracy() const = 0;
  /// The model's output after the last token, not the one at each place, has to give back the tokens; see model::Readout.
  virtual bool reconstructs() const { return false; }
  /// Losses on the validation part that any model should beat.
  virtual std::vector<ReferenceLoss> references() const = 0;
  /// "412 files, 1,998,112 bytes: 1,598,301 training, …": one line for the log.
  virtual std::string summary() const = 0;
};

}  // namespace starling::tasks
