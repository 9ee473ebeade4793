// What device kernels are written with. A kernel is a value with its arguments, `threads` per block, blocks(), shared_bytes() and
// a body, operator()(Block&), that every thread runs; `blocks_at_once`, where it has that, bounds its registers so that a multiprocessor
// holds as many. nvcc compiles bodies for the device; g++ compiles the same ones for tests, which run them thread by thread on the CPU.
// Bodies use no atomics: equal inputs give equal bits on equal devices.
//
// A contract `x.hpp` has its device form in `x_device.hpp`: kernels, and launch_all(arguments, launcher) which launches them in order.
// A launcher has launch(kernel) and scratch<T>(count): device memory that later launches of the same call may use.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/host_device.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace starling::kernels::device {

using Index = std::int64_t;

inline constexpr int warp = 32;

/// How a thread of a block meets the others where no device runs it.
class Lockstep {
 public:
  virtual void wait_for_block() = 0;
  /// A thread's numbers, at most 8, for its warp, all of whose threads give as many.
  virtual void give(const double* values, int count) = 0;
  /// What a thread of the warp has given last; until this one gives again.
  virtual const double* given_by(int thread) const = 0;

 protected:
  ~Lockstep() = default;
};

/// A thread's view of its block.
struct Block {
  Index index;
  int thread;
  int threads;
  unsigned char* shared;  ///< aligned to 16
  Lockstep* lockstep;     ///< null on a device

  /// Item of this thread, counted over all blocks.
  STARLING_DEVICE Index item() const { return index * threads + thread; }
  STARLING_DEVICE int lane() const { return thread % warp; }

  /// Until every thread of the block is here; what they wrote to memory is seen.
  STARLING_DEVICE void wait() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#else
    lockstep->wait_for_block();
#endif
  }

  /// `value` of the lane whose number differs in the bits of `mask`. All lanes of the warp take part.
  template <class T>
  STARLING_DEVICE T across(T value, int mask) const {
#if defined(__CUDA_ARCH__)
    return __shfl_xor_sync(0xffffffffu, value, mask);
#else
    const auto given = static_cast<double>(value);
    lockstep->give(&given, 1);
    return static_cast<T>(*lockstep->given_by(thread ^ mask));
#endif
  }

  /// Σ over the warp, in every lane the same.
  template <class T>
  STARLING_DEVICE T warp_sum(T value) const {
    for (int mask = warp / 2; mask > 0; mask /= 2) value += across(value, mask);
    return value;
  }
};

STARLING_DEVICE constexpr Index quotient_up(Index count, Index size) { return (count + size - 1) / size; }

/// The smaller of two.
STARLING_DEVICE constexpr Index least(Index a, Index b) { return a < b ? a : b; }

STARLING_DEVICE inline float exponential(float x) { return expf(x); }
STARLING_DEVICE inline double exponential(double x) { return exp(x); }
STARLING_DEVICE inline float exponential2(float x) { return exp2f(x); }
STARLING_DEVICE inline double exponential2(double x) { return exp2(x); }
STARLING_DEVICE inline float square_root(float x) { return sqrtf(x); }
STARLING_DEVICE inline double square_root(double x) { return sqrt(x); }
STARLING_DEVICE inline float complementary_error(float x) { return erfcf(x); }
STARLING_DEVICE inline double complementary_error(double x) { return erfc(x); }
template <class T>
STARLING_DEVICE T sigmoid(T x) {
  return T(1) / (T(1) + exponential(-x));
}

STARLING_DEVICE inline float tangent(float x) { return tanhf(x); }
STARLING_DEVICE inline double tangent(double x) { return tanh(x); }
STARLING_DEVICE inline double sine(double x) { return sin(x); }
STARLING_DEVICE inline double cosine(double x) { return cos(x); }
STARLING_DEVICE inline float log_of_one_and(float x) { return log1pf(x); }
STARLING_DEVICE inline double log_of_one_and(double x) { return log1p(x); }
/// log(1 + e^x).
template <class T>
STARLING_DEVICE T softplus(T x) {
  return (x < T(0) ? T(0) : x) + log_of_one_and(exponential(x < T(0) ? x : -x));
}

/// `n` neighbours, loaded and stored at once where their type and n make 4, 8 or 16 bytes.
template <class T, int n>
struct alignas(n * sizeof(T)) Bundle {
  T values[n];
};
template <int n, class T>
STARLING_DEVICE void load(const T* from, Compute<T>* to) {
  const auto bundle = *reinterpret_cast<const Bundle<T, n>*>(from);
  for (int i = 0; i < n; ++i) to[i] = Compute<T>(bundle.values[i]);
}
template <int n, class T>
STARLING_DEVICE void store(T* to, const Compute<T>* from) {
  Bundle<T, n> bundle;
  for (int i = 0; i < n; ++i) bundle.values[i] = T(from[i]);
  *reinterpret_cast<Bundle<T, n>*>(to) = bundle;
}

/// Whether bundles of n may be used for all of these addresses (null is none) and distances.
template <int n, class T>
bool aligned(const T* address) {
  return reinterpret_cast<std::uintptr_t>(address) % (n * sizeof(T)) == 0;
}
template <int n>
bool aligned(Index distance) {
  return distance % n == 0;
}
template <int n, class... Parts>
bool all_aligned(Parts... parts) {
  return (aligned<n>(parts) && ...);
}

}  // namespace starling::kernels::device
