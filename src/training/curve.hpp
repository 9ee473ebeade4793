// Which steps of a training are kept as its learning curve. No Torch.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <starling/training/results.hpp>

namespace starling::training {

/// Every step of at most 512; of longer trainings at most 512, spread evenly. Always the first step and the last one added.
class Curve {
 public:
  static constexpr std::int64_t most = 512;

  explicit Curve(std::int64_t steps) : steps_(steps) {}

  /// Steps are added in order, step from 1.
  void add(const Point& point);
  std::vector<Point> take() { return std::move(points_); }

 private:
  bool keeps(std::int64_t step) const;

  std::int64_t steps_;
  std::vector<Point> points_;
};

}  // namespace starling::training
