// When a training is given up. No Torch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace starling::training {

/// Diverged is: a loss or gradient norm that is not finite; or, from the first step after warm-up, a mean loss of the last 20 steps more than
/// 0.5 above the first loss (where batches differ in what they lose before anything is learned, above the mean of that), or gradients that have
/// exploded: the norms of the last 20 steps are all above 1,000 times the first one (or 1, where that is less: a model may start where it is
/// nearly flat). Healthy trainings stay within ten times; clipped to unit length such gradients still say nothing.
class Divergence {
 public:
  static constexpr std::int64_t window = 20;
  static constexpr double margin = 0.5;      ///< nats; of a series half of the training part's variance
  static constexpr double explosion = 1000;  ///< times the first gradient norm

  explicit Divergence(std::int64_t warmup_steps) : warmup_steps_(warmup_steps) {}

  /// The next step's loss and gradient norm, and what its batch loses where nothing is learned, if that is known; the reason ("loss is not finite at step
  /// 12", steps from 1) where the training has diverged.
  std::optional<std::string> observe(double loss, double gradient_norm, std::optional<double> unlearned = {});

 private:
  std::int64_t warmup_steps_;
  std::int64_t steps_ = 0;
  double first_loss_ = 0;
  double first_norm_ = 0;
  std::array<double, window> losses_{};  ///< rings of the latest
  std::array<double, window> levels_{};
  std::array<double, window> norms_{};
};

}  // namespace starling::training
