// 1234567 as "1,234,567", whatever the locale.
#pragma once

#include <cstdint>
#include <string>

namespace starling::tasks {

inline std::string thousands(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

}  // namespace starling::tasks
