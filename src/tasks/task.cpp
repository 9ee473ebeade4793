#include <starling/tasks/task.hpp>

#include <algorithm>
#include <cmath>

namespace starling::tasks {

std::int64_t counted_targets(const at::Tensor& targets) {
  const auto rows = targets.contiguous();
  const auto count = rows.numel();
  if (rows.scalar_type() == at::kLong) {
    const auto* const values = rows.data_ptr<std::int64_t>();
    return std::count_if(values, values + count, [](std::int64_t target) { return target != ignored; });
  }
  const auto* const values = rows.data_ptr<float>();
  return std::count_if(values, values + count, [](float target) { return !std::isnan(target); });
}

}  // namespace starling::tasks
