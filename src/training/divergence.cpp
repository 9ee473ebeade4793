#include <starling/training/divergence.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace starling::training {

std::optional<std::string> Divergence::observe(double loss, double gradient_norm) {
  if (steps_ == 0) {
    first_loss_ = loss;
    first_norm_ = gradient_norm;
  }
  const auto place = static_cast<std::size_t>(steps_ % window);
  losses_[place] = loss;
  norms_[place] = gradient_norm;
  ++steps_;
  if (!std::isfinite(loss)) return fmt::format("loss is not finite at step {}", steps_);
  if (!std::isfinite(gradient_norm)) return fmt::format("gradient is not finite at step {}", steps_);
  if (steps_ <= warmup_steps_ || steps_ < window) return std::nullopt;
  const double mean = std::reduce(losses_.begin(), losses_.end()) / static_cast<double>(window);
  if (mean > first_loss_ + margin) {
    return fmt::format("mean loss of the last {} steps, {:.3f}, is more than {} above the first loss, {:.3f}, at step {}", window, mean,
                       margin, first_loss_, steps_);
  }
  const double least = *std::min_element(norms_.begin(), norms_.end());
  const double bound = explosion * std::max(1.0, first_norm_);
  if (least <= bound) return std::nullopt;
  return fmt::format("gradient has exploded: its norm was at least {:.3g} in the last {} steps, at the first {:.3g}, at step {}", least,
                     window, first_norm_, steps_);
}

}  // namespace starling::training
