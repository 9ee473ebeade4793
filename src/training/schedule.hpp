// The learning rate of every step. No Torch.
#pragma once

#include <cstdint>

#include <starling/training/results.hpp>

namespace starling::training {

/// Linear warm-up from 0 to the peak P over the first w = round(warmup · steps) steps: P · (s + 1) / w. From there down to the final rate
/// F = final_share · P, by how much of the rest is done, p = (s + 1 − w) / (steps − w):
///   cosine    F + (P − F) · (1 + cos π p) / 2
///   linear    P − (P − F) · p
///   constant  P
class Schedule {
 public:
  /// warmup: share of the steps, 0 … 1; final_share: share of the peak.
  Schedule(Descent descent, double peak, double warmup, double final_share, std::int64_t steps);

  /// Of step s = 0 … steps−1. The first step of a warm-up is P / w, its last is P; the last step of all is F, of a constant schedule P.
  double rate(std::int64_t step) const;
  std::int64_t warmup_steps() const { return warmup_steps_; }

 private:
  Descent descent_;
  double peak_;
  double final_rate_;
  std::int64_t steps_;
  std::int64_t warmup_steps_;
};

}  // namespace starling::training
