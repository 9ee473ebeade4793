// Where the windows of a training epoch and of a held-out part lie in recordings: token streams, or the rows of the files of a series. No
// window crosses from one recording into another. No Torch.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace starling::tasks {

/// `values` that follow each other: the first is context only, every later one is predicted from those before it.
struct Window {
  std::size_t recording = 0;
  std::int64_t begin = 0;
  std::int64_t values = 0;  ///< at least 2, at most a window's length + 1

  std::int64_t predicted() const { return values - 1; }
};

/// An epoch is windows of length + 1 values that overlap by one, laid out in each recording from a phase that the epoch draws, in an order
/// that is a stateless permutation of (seed, epoch). Every epoch has the same number, and room for at least `length` phases; the last of them
/// reaches the end of the recording. One that is shorter than a window is one short window; one of fewer than two values is none.
class TrainingWindows {
 public:
  /// Values of each recording.
  TrainingWindows(std::vector<std::int64_t> sizes, std::int64_t length);

  std::int64_t per_epoch() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Calls use(window) for every sequence of batch `step`, in order: a pure function of its arguments. There must be a window.
  void batch(std::uint64_t seed, std::int64_t step, std::int64_t sequences, const std::function<void(const Window&)>& use) const;

 private:
  std::vector<std::int64_t> sizes_;
  std::int64_t length_;
  std::vector<std::int64_t> ends_;    ///< windows of an epoch up to and with each recording
  std::vector<std::int64_t> phases_;  ///< that the windows of each recording may have
};

/// Windows that together predict every value but the first of each recording exactly once, in order. Under a cap at most so many values, in
/// windows spread evenly; the very last one of the part, which may be short, is then not among them.
class HeldOutWindows {
 public:
  HeldOutWindows(const std::vector<std::int64_t>& sizes, std::int64_t length, std::int64_t cap);

  std::int64_t size() const { return windows_; }
  /// Values that the windows predict.
  std::int64_t predicted() const { return predicted_; }
  Window operator[](std::int64_t i) const;

 private:
  /// Of all windows there are, without a cap.
  Window at(std::int64_t i) const;

  std::vector<std::int64_t> sizes_;
  std::int64_t length_;
  std::int64_t cap_;                ///< 0: none
  std::vector<std::int64_t> ends_;  ///< windows up to and with each recording
  std::int64_t windows_ = 0;
  std::int64_t predicted_ = 0;
};

}  // namespace starling::tasks
