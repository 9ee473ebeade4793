#include <starling/training/divergence.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace starling::training {

std::optional<std::string> Divergence::observe(double loss, double gradient_norm, std::optional<double> unlearned) {
  if (steps_ == 0) {
    first_loss_ = loss;
    first_norm_ = gradient_norm;
  }
  const auto place = static_cast<std::size_t>(steps_ % window);
  losses_[place] = loss;
  levels_[place] = unlearned.value_or(first_loss_);
  norms_[place] = gradient_norm;
  ++steps_;
  if (!std::isfinite(loss)) return fmt::format("loss is not finite at step {}", steps_);
  if (!std::isfinite(gradient_norm)) return fmt::format("gradient is not finite at step {}", steps_);
  if (steps_ <= warmup_steps_ || steps_ < window) return std::nullopt;
  const auto mean_of = [](const auto& numbers) { return std::reduce(numbers.begin(), numbers.end()) / static_cast<double>(window); };
  const double mean = mean_of(losses_);
  const double level = unlearned ? mean_of(levels_) : first_loss_;
  if (mean > level + margin) {
    return fmt::format("mean loss of the last {} steps, {:.3f}, is more than {} above {}, {:.3f}, at step {}", window, mean, margin,
                       unlearned ? "that of the last values there" : "the first loss", level, steps_);
  }
  const double least = *std::min_element(norms_.begin(), norms_.end());
  const double bound = explosion * std::max(1.0, first_norm_);
  if (least <= bound) return std::nullopt;
  return fmt::format("gradient has exploded: its norm was at least {:.3g} in the last {} steps, at the first {:.3g}, at step {}", least,
                     window, first_norm_, steps_);
}

}  // namespace starling::training
