// The learning rate of every step. No Torch.
#pragma once

#include <cstdint>

namespace starling::training {

/// Linear warm-up to the peak, then half a cosine down to the final rate.
class Schedule {
 public:
  /// warmup: share of the steps, 0 … 1; final_share: share of the peak.
  Schedule(double peak, double warmup, double final_share, std::int64_t steps);

  /// Of step 0 … steps−1. The first step of a warm-up is peak / warmup_steps, its last is the peak; the last step of all is the final rate.
  double rate(std::int64_t step) const;
  std::int64_t warmup_steps() const { return warmup_steps_; }

 private:
  double peak_;
  double final_rate_;
  std::int64_t steps_;
  std::int64_t warmup_steps_;
};

}  // namespace starling::training
