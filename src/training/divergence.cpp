#include <starling/training/divergence.hpp>

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace starling::training {

std::optional<std::string> Divergence::observe(double loss, double gradient_norm) {
  if (steps_ == 0) first_ = loss;
  last_[static_cast<std::size_t>(steps_ % window)] = loss;
  ++steps_;
  if (!std::isfinite(loss)) return fmt::format("loss is not finite at step {}", steps_);
  if (!std::isfinite(gradient_norm)) return fmt::format("gradient is not finite at step {}", steps_);
  if (steps_ <= warmup_steps_ || steps_ < window) return std::nullopt;
  const double mean = std::reduce(last_.begin(), last_.end()) / static_cast<double>(window);
  if (mean <= first_ + margin) return std::nullopt;
  return fmt::format("mean loss of the last {} steps, {:.3f}, is more than {} above the first loss, {:.3f}, at step {}", window, mean,
                     margin, first_, steps_);
}

}  // namespace starling::training
