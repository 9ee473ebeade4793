// Cross-entropy on a device: a block for a row, a warp where the vocabulary is small. The row is read for its largest logit, then from
// cache for the sum of exponentials and for the gradient; the sums over rows are taken by one block in the order of the rows.
//
// Floor, bytes per logit (bfloat16): 4 (read, gradient written). The rows' losses pass through memory once.
#pragma once

#include <starling/kernels/cross_entropy.hpp>
#include <starling/kernels/device.hpp>

namespace starling::kernels::device {

/// What the sums over rows are made of.
template <class C>
struct RowLoss {
  C loss;
  int counted;
  int correct;
};

/// The larger logit, of equals that of the smaller index; a NaN is passed over.
template <class C>
struct Largest {
  C value;
  Index index;

  STARLING_DEVICE void meet(C other, Index at) {
    if (other > value || (other == value && at < index)) value = other, index = at;
  }
};

template <class T, int warps>
struct CrossEntropyRows {
  using C = Compute<T>;
  CrossEntropy<T> a;
  RowLoss<C>* rows;

  static constexpr int threads = warps * warp;
  Index blocks() const { return a.rows; }
  static constexpr std::size_t shared_bytes() { return warps * (2 * sizeof(C) + sizeof(Index)); }

  STARLING_DEVICE Largest<C> largest_of(const Block& block, const T* row) const {
    Largest<C> best{C(-INFINITY), a.vocabulary};
    for (Index i = block.thread; i < a.vocabulary; i += threads) best.meet(C(row[i]), i);
    for (int mask = warp / 2; mask > 0; mask /= 2) {
      const C value = block.across(best.value, mask);
      const Index index = block.across(best.index, mask);
      best.meet(value, index);
    }
    if constexpr (warps > 1) {
      auto* const indices = reinterpret_cast<Index*>(block.shared);
      auto* const values = reinterpret_cast<C*>(indices + warps);
      if (block.lane() == 0) {
        indices[block.thread / warp] = best.index;
        values[block.thread / warp] = best.value;
      }
      block.wait();
      for (int w = 0; w < warps; ++w) best.meet(values[w], indices[w]);
    }
    if (best.index == a.vocabulary) best.index = 0;  // nothing but NaN
    return best;
  }

  STARLING_DEVICE C sum_of(const Block& block, C part) const {
    C sum = block.warp_sum(part);
    if constexpr (warps > 1) {
      auto* const sums = reinterpret_cast<C*>(block.shared + warps * sizeof(Index)) + warps;
      if (block.lane() == 0) sums[block.thread / warp] = sum;
      block.wait();
      sum = C(0);
      for (int w = 0; w < warps; ++w) sum += sums[w];
    }
    return sum;
  }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index r = block.index;
    const T* const row = a.logits + r * a.logits_stride;
    T* const gradient = a.dlogits ? a.dlogits + r * a.dlogits_stride : nullptr;
    const Index target = a.targets[r];
    const bool counted = target != ignored_target;
    Largest<C> top{C(0), 0};
    if (counted || a.predictions) top = largest_of(block, row);
    if (a.predictions && block.thread == 0) a.predictions[r] = top.index;
    if (!counted) {
      for (Index i = block.thread; gradient && i < a.vocabulary; i += threads) gradient[i] = T(C(0));
      if (block.thread == 0) {
        rows[r] = {C(0), 0, 0};
        if (a.losses) a.losses[r] = C(0);
      }
      return;
    }
    const C at_target = C(row[target]);
    C part = C(0);
    for (Index i = block.thread; i < a.vocabulary; i += threads) part += exponential(C(row[i]) - top.value);
    const C total = sum_of(block, part);  // behind its barrier, or within a warp, all have read the target's logit
    if (gradient) {
      const C factor = a.gradient_scale / total;
      if constexpr (warps == 1) block.wait();
      for (Index i = block.thread; i < a.vocabulary; i += threads)
        gradient[i] = T(exponential(C(row[i]) - top.value) * factor - (i == target ? a.gradient_scale : C(0)));
    }
    if (block.thread != 0) return;
    const C loss = static_cast<C>(log(static_cast<double>(total))) + (top.value - at_target);
    rows[r] = {loss, 1, top.index == target && at_target == top.value ? 1 : 0};
    if (a.losses) a.losses[r] = loss;
  }
};

template <class C>
struct SumRowLosses {
  const RowLoss<C>* losses;
  CrossEntropySums* sums;
  Index rows;

  static constexpr int threads = 256;
  static constexpr Index blocks() { return 1; }
  static constexpr std::size_t shared_bytes() { return threads * sizeof(CrossEntropySums); }

  STARLING_DEVICE void operator()(Block& block) const {
    auto* const parts = reinterpret_cast<CrossEntropySums*>(block.shared);
    double loss = 0;
    Index count = 0, correct = 0;
    for (Index r = block.thread; r < rows; r += threads) {
      loss += static_cast<double>(losses[r].loss);
      count += losses[r].counted;
      correct += losses[r].correct;
    }
    parts[block.thread].loss = loss;
    parts[block.thread].count = count;
    parts[block.thread].correct = correct;
    for (int half = threads / 2; half > 0; half /= 2) {
      block.wait();
      if (block.thread >= half) continue;
      parts[block.thread].loss += parts[block.thread + half].loss;
      parts[block.thread].count += parts[block.thread + half].count;
      parts[block.thread].correct += parts[block.thread + half].correct;
    }
    if (block.thread == 0) *sums = parts[0];
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const CrossEntropy<T>& a, Launcher& launcher) {
  using C = Compute<T>;
  auto* const rows = launcher.template scratch<device::RowLoss<C>>(a.rows > 0 ? a.rows : 1);
  if (a.vocabulary <= 1024)
    launcher.launch(device::CrossEntropyRows<T, 1>{a, rows});
  else
    launcher.launch(device::CrossEntropyRows<T, 8>{a, rows});
  launcher.launch(device::SumRowLosses<C>{rows, a.sums, a.rows});
}

}  // namespace starling::kernels
