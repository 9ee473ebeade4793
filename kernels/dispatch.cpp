#include <starling/kernels/dispatch.hpp>

#include <atomic>
#include <cassert>

namespace starling::kernels {
namespace {

bool supports([[maybe_unused]] Level level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // The parts of x86-64-v3 and -v4 that a compiler uses for arithmetic; CPUs and kernels that have these have the rest.
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (level == Level::v3) return v3;
  if (level == Level::v4)
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return level == Level::baseline;
}

std::atomic<Level>& level_in_use() {
  static std::atomic<Level> level = supported_levels().back();
  return level;
}

}  // namespace

std::vector<Level> supported_levels() {
  std::vector<Level> levels;
  for (Level level : {Level::baseline, Level::v3, Level::v4})
    if (supports(level)) levels.push_back(level);
  return levels;
}

Level active_level() { return level_in_use().load(std::memory_order_relaxed); }

void force_level(Level level) {
  assert(supports(level));
  level_in_use().store(level, std::memory_order_relaxed);
}

const char* level_name(Level level) {
  switch (level) {
    case Level::v4:
      return "x86-64-v4";
    case Level::v3:
      return "x86-64-v3";
    case Level::baseline:
      break;
  }
  return "baseline";
}

}  // namespace starling::kernels
