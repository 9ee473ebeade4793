// The floor of a measurement, from the same machine in the same run: the larger of bytes / (bandwidth of memcpy over the same
// footprint) and operations / (peak of multiply-add at the level in use).
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

namespace starling::kernels {

/// Per second.
double peak_flops();

/// Bytes read and written per second by memcpy where source and destination together have this footprint.
double copy_bandwidth(double footprint);

/// Times `work`, which moves so many bytes and does so many operations, and adds counters: its rates, its floor, and how many times the
/// floor it takes.
template <class Work>
void measure(benchmark::State& state, double bytes, double flops, Work work) {
  const double floor = std::max(bytes / copy_bandwidth(bytes), flops / peak_flops());
  work();
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    work();
    benchmark::ClobberMemory();
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / static_cast<double>(state.iterations());
  state.counters["GB/s"] = bytes / seconds * 1e-9;
  state.counters["GFLOP/s"] = flops / seconds * 1e-9;
  state.counters["floor_ms"] = floor * 1e3;
  state.counters["x_floor"] = seconds / floor;
}

}  // namespace starling::kernels
