// The batches of a training in their order, ready where it runs.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include <starling/tasks/task.hpp>
#include <starling/training/device.hpp>

namespace starling::training {

/// For a device a thread makes, checks and sends batches ahead of the training: in small models the device would wait for them. On the CPU it would
/// only take time from the training, and next() makes them.
class BatchFeed {
 public:
  struct Plan {
    std::uint64_t seed = 0;
    std::int64_t sequences = 0;  ///< of a batch
    std::int64_t steps = 0;
    at::Device device = at::kCPU;
    bool ahead = !device.is_cpu();
  };
  struct Ready {
    tasks::Batch batch;               ///< on the device
    std::int64_t counted = 0;         ///< targets that count
    std::optional<double> unlearned;  ///< what it loses before anything is learned, of a series: where every value stays what it was
  };

  /// `task` must outlive it.
  BatchFeed(const tasks::Task& task, const Plan& plan);
  ~BatchFeed();
  BatchFeed(const BatchFeed&) = delete;
  BatchFeed& operator=(const BatchFeed&) = delete;

  /// Of step 0, 1, …; not to be called more than `steps` times. What making one throws is thrown here, in its turn.
  Ready next();

 private:
  static constexpr std::size_t most = 2;  ///< batches ahead

  struct Made {
    tasks::Batch unsent;  ///< where a device had no memory for it; the training sends it, which makes room in its pieces
    Sending sending;
    std::int64_t counted = 0;
    std::optional<double> unlearned;
    std::exception_ptr error;
  };

  Made make(std::int64_t step) const;
  void work();

  const tasks::Task& task_;
  Plan plan_;
  std::int64_t step_ = 0;  ///< the next to be asked for
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Made> made_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace starling::training
