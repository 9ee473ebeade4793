// Keyed random numbers: every decision draws from a stream named by (seed, purpose, index, attempt), never from a global generator or
// the clock, so that it can be repeated whatever else happened before.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace starling {

/// What a stream is for; streams of different purposes are independent. The values are part of what makes runs repeatable: never renumber.
enum class Purpose : std::uint32_t {
  sample = 1,
  parents = 2,
  crossover = 3,
  mutation = 4,
  repair = 5,
  survival = 6,
  training_seed = 7,
  initialisation = 8,
  data_order = 9,
  data_split = 10,
  task_data = 11,
  dropout = 12,
  test = 13,
  generation = 14,
};

/// One block of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A stream of random numbers, also a std::uniform_random_bit_generator. Counter based: copies are cheap and independent of each other.
/// The distributions here are our own because those of <random> differ between standard libraries.
class Stream {
 public:
  using result_type = std::uint32_t;

  Stream(std::uint64_t seed, Purpose purpose, std::uint64_t index = 0, std::uint32_t attempt = 0);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  result_type operator()();
  std::uint64_t next64();
  /// Uniform in [0, n), unbiased (Lemire 2019). n > 0.
  std::uint64_t below(std::uint64_t n);
  /// Uniform in [0, 1) with 53 bits.
  double uniform();
  /// Standard normal (Box–Muller).
  double normal();
  bool chance(double probability) { return uniform() < probability; }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

/// A seed of 64 bits derived from a key, for generators that want one.
std::uint64_t derive_seed(std::uint64_t seed, Purpose purpose, std::uint64_t index);

}  // namespace starling
