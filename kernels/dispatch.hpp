// Which instruction set the kernels run on. Every x_cpu.cpp is compiled once per level of the x86-64 psABI; the binary
// stays portable and the best level of the machine is chosen at run time. Other processors have the baseline only.
#pragma once

#include <vector>

namespace starling::kernels {

/// baseline: what every machine of the platform has (x86-64: SSE2). v3: AVX2 and FMA. v4: AVX-512 (F, BW, CD, DQ, VL).
enum class Level { baseline, v3, v4 };

/// The levels that this binary holds and this machine runs, lowest first.
std::vector<Level> supported_levels();

/// The level in use: the best supported one unless force_level chose another.
Level active_level();

/// Makes every later kernel call of the process run at `level`, which must be supported. For tests and benchmarks;
/// results differ between levels by rounding, so nothing else should call it.
void force_level(Level level);

/// "baseline", "x86-64-v3", "x86-64-v4".
const char* level_name(Level level);

/// Runs execute<level>(arguments) at the active level. Each contract header declares execute for its argument struct.
template <class Arguments>
void dispatch(const Arguments& arguments) {
#if defined(__x86_64__)
  switch (active_level()) {
    case Level::v4:
      return execute<Level::v4>(arguments);
    case Level::v3:
      return execute<Level::v3>(arguments);
    case Level::baseline:
      break;
  }
#endif
  execute<Level::baseline>(arguments);
}

}  // namespace starling::kernels
