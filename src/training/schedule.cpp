#include <starling/training/schedule.hpp>

#include <cmath>
#include <numbers>

namespace starling::training {

Schedule::Schedule(Descent descent, double peak, double warmup, double final_share, std::int64_t steps)
    : descent_(descent),
      peak_(peak),
      final_rate_(peak * final_share),
      steps_(steps),
      warmup_steps_(std::llround(warmup * static_cast<double>(steps))) {}

double Schedule::rate(std::int64_t step) const {
  const auto done = static_cast<double>(step + 1);
  if (step < warmup_steps_) return peak_ * done / static_cast<double>(warmup_steps_);
  const double progress = (done - static_cast<double>(warmup_steps_)) / static_cast<double>(steps_ - warmup_steps_);
  switch (descent_) {
    case Descent::cosine:
      return final_rate_ + (peak_ - final_rate_) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
    case Descent::linear:
      return peak_ - (peak_ - final_rate_) * progress;
    case Descent::constant:
      break;
  }
  return peak_;
}

}  // namespace starling::training
