// AdamW on a device: a launch takes up to 24 tensors, a block 4096 elements of one of them. The sum of squares is taken by blocks, then
// by one block over their sums.
//
// Floor, bytes per element: AdamW 28 (+ 2 for the rounded copy), sum of squares 4.
#pragma once

#include <starling/kernels/adamw.hpp>
#include <starling/kernels/device.hpp>

#include <cmath>

namespace starling::kernels::device {

inline constexpr int adamw_tensors = 24;  // of a launch: with their numbers in the 4 KiB of a kernel's arguments
inline constexpr int adamw_elements = 4096;

/// One tensor's step in the numbers that its elements need.
template <class T>
struct AdamWStep {
  T* parameter;
  bfloat16* rounded;
  const T* gradient;
  T* first;
  T* second;
  const double* factor;
  Index count;
  Index first_block;
  T beta1, beta2, rest1, rest2, rate, inverse_root, keep, epsilon;
  double scale;

  static AdamWStep of(const AdamW<T>& a, Index first_block) {
    const double step = static_cast<double>(a.step);
    return {a.parameter,
            a.rounded,
            a.gradient,
            a.first,
            a.second,
            a.gradient_factor,
            a.count,
            first_block,
            static_cast<T>(a.beta1),
            static_cast<T>(a.beta2),
            static_cast<T>(1 - a.beta1),
            static_cast<T>(1 - a.beta2),
            static_cast<T>(a.learning_rate / (1 - std::pow(a.beta1, step))),
            static_cast<T>(1 / std::sqrt(1 - std::pow(a.beta2, step))),
            static_cast<T>(1 - a.learning_rate * a.weight_decay),
            static_cast<T>(a.epsilon),
            a.gradient_scale};
  }

  /// What the gradient is multiplied by.
  STARLING_DEVICE T gradient_scale() const { return static_cast<T>(factor ? scale * *factor : scale); }

  template <int n>
  STARLING_DEVICE void update(Index i, T gradient_scale) const {
    T g[n], m[n], v[n], p[n];
    load<n>(gradient + i, g);
    load<n>(first + i, m);
    load<n>(second + i, v);
    load<n>(parameter + i, p);
    for (int k = 0; k < n; ++k) {
      g[k] *= gradient_scale;
      m[k] = m[k] * beta1 + g[k] * rest1;
      v[k] = v[k] * beta2 + g[k] * g[k] * rest2;
      p[k] = p[k] * keep - m[k] * rate / (square_root(v[k]) * inverse_root + epsilon);
    }
    store<n>(first + i, m);
    store<n>(second + i, v);
    store<n>(parameter + i, p);
    if constexpr (sizeof(T) == sizeof(float))
      if (rounded) store<n>(rounded + i, p);
  }
};

template <class T>
struct AdamWSteps {
  AdamWStep<T> steps[adamw_tensors];
  int tensors;
  int bundles;  ///< bit i: tensor i lies where four elements may be moved at once
  Index grid;

  static constexpr int threads = 256;
  Index blocks() const { return grid; }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    int tensor = 0;
    while (tensor + 1 < tensors && steps[tensor + 1].first_block <= block.index) ++tensor;
    const AdamWStep<T>& step = steps[tensor];
    const T scale = step.gradient_scale();
    const Index begin = (block.index - step.first_block) * adamw_elements, end = least(begin + adamw_elements, step.count);
    if ((bundles >> tensor & 1) != 0) {
      for (Index i = begin + 4 * block.thread; i + 4 <= end; i += 4 * threads) step.template update<4>(i, scale);
      const Index rest = begin + (end - begin) / 4 * 4 + block.thread;
      if (rest < end) step.template update<1>(rest, scale);
    } else {
      for (Index i = begin + block.thread; i < end; i += threads) step.template update<1>(i, scale);
    }
  }
};
static_assert(sizeof(AdamWSteps<double>) <= 4096);

/// Σ of a block's numbers, in every thread whose number is 0; `shared` has room for one number a thread.
STARLING_DEVICE inline double block_sum(const Block& block, double value, double* shared) {
  shared[block.thread] = value;
  for (int half = block.threads / 2; half > 0; half /= 2) {
    block.wait();
    if (block.thread < half) shared[block.thread] += shared[block.thread + half];
  }
  return shared[0];
}

template <class T>
struct SumSquares {
  const T* x;
  double* sums;  ///< one for each block
  Index count;
  Index grid;

  static constexpr int threads = 256;
  Index blocks() const { return grid; }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(double); }

  STARLING_DEVICE void operator()(Block& block) const {
    double sum = 0;
    for (Index i = block.item(); i < count; i += grid * threads) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    sum = block_sum(block, sum, reinterpret_cast<double*>(block.shared));
    if (block.thread == 0) sums[block.index] = sum;
  }
};

struct SumNumbers {
  const double* numbers;
  double* to;
  Index count;

  static constexpr int threads = 256;
  static constexpr Index blocks() { return 1; }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(double); }

  STARLING_DEVICE void operator()(Block& block) const {
    double sum = 0;
    for (Index i = block.thread; i < count; i += threads) sum += numbers[i];
    sum = block_sum(block, sum, reinterpret_cast<double*>(block.shared));
    if (block.thread == 0) *to = sum;
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const AdamWList<T>& a, Launcher& launcher) {
  device::AdamWSteps<T> steps{};
  for (std::int64_t i = 0; i < a.count; ++i) {
    const AdamW<T>& tensor = a.tensors[i];
    if (tensor.count == 0) continue;
    if (device::all_aligned<4>(tensor.parameter, tensor.rounded, tensor.gradient, tensor.first, tensor.second))
      steps.bundles |= 1 << steps.tensors;
    steps.steps[steps.tensors++] = device::AdamWStep<T>::of(tensor, steps.grid);
    steps.grid += device::quotient_up(tensor.count, device::adamw_elements);
    if (steps.tensors == device::adamw_tensors) {
      launcher.launch(steps);
      steps = {};
    }
  }
  if (steps.tensors > 0) launcher.launch(steps);
}
template <class T, class Launcher>
void launch_all(const AdamW<T>& a, Launcher& launcher) {
  launch_all(AdamWList<T>{&a, 1}, launcher);
}

template <class T, class Launcher>
void launch_all(const SumOfSquares<T>& a, Launcher& launcher) {
  const std::int64_t grid = device::least(device::quotient_up(a.count, 4096), 1024);
  double* const sums = launcher.template scratch<double>(grid > 0 ? grid : 1);
  launcher.launch(device::SumSquares<T>{a.x, sums, a.count, grid});
  launcher.launch(device::SumNumbers{sums, a.sum, grid});
}

}  // namespace starling::kernels
