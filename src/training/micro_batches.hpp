// A batch in pieces that fit into memory.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <utility>

namespace starling::training {

/// Whether an exception says that memory has run out: of LibTorch's allocators on the processor and on a GPU, or of the language's.
bool is_out_of_memory(const std::exception& error);

class MicroBatches {
 public:
  /// Pieces of so many sequences, at least 1. make_room() is called before a batch is tried again, after begin().
  explicit MicroBatches(
      std::int64_t sequences, std::function<void()> make_room = [] {})
      : sequences_(sequences), make_room_(std::move(make_room)) {}

  /// Calls begin(), then piece(first, count) for a batch's sequences in order. Where memory runs out in one of them the pieces are halved,
  /// now and for every batch to come, and the batch starts again from begin(), which has to undo what the pieces before have done. Throws
  /// Failure where memory runs out with a single sequence; what else is thrown goes through.
  void run(std::int64_t batch, const std::function<void()>& begin,
           const std::function<void(std::int64_t first, std::int64_t count)>& piece);

  std::int64_t sequences() const { return sequences_; }

 private:
  std::int64_t sequences_;
  std::function<void()> make_room_;
};

}  // namespace starling::training
