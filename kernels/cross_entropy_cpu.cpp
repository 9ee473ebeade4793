#include <starling/kernels/cross_entropy.hpp>

#include <starling/kernels/elementary.hpp>
#include <starling/kernels/scratch.hpp>

#include <cassert>

namespace starling::kernels {
namespace {

/// The first index of `value`, which is in the row unless the row holds nothing but NaN (then 0).
template <class T>
std::int64_t first_index_of(const T* row, std::int64_t count, Compute<T> value) {
  std::int64_t i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) {
    const PackBits<T> equal = load(row + i) == splat(value);
    typename Integer<Compute<T>>::Type any = 0;
    for (std::int64_t k = 0; k < lanes<T>; ++k) any |= equal[k];
    if (any) break;
  }
  for (; i < count; ++i)
    if (row[i] == value) return i;
  return 0;
}

template <class T>
Compute<T> row_maximum(const T* row, std::int64_t count) {
  using C = Compute<T>;
  Pack<T> highest = splat(C(-__builtin_inf()));
  std::int64_t i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) highest = maximum<C>(load(row + i), highest);
  C top = largest<C>(highest);
  for (; i < count; ++i) top = row[i] > top ? C(row[i]) : top;
  return top;
}

/// Writes exp(row − top) to `out` and returns its sum.
template <class T>
Compute<T> exponentials(const T* row, std::int64_t count, Compute<T> top, Compute<T>* out) {
  using C = Compute<T>;
  Pack<T> total{};
  std::int64_t i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) {
    const Pack<T> e = exponential<C>(load(row + i) - top);
    store(out + i, e);
    total += e;
  }
  C result = sum<C>(total);
  if (i < count) {
    const Pack<T> e = exponential<C>(load(row + i, count - i) - top);
    store(out + i, e, count - i);
    for (std::int64_t k = 0; k < count - i; ++k) result += e[k];
  }
  return result;
}

}  // namespace

template <Level level, class T>
void execute(const CrossEntropy<T>& a) {
  using C = Compute<T>;
  constexpr bool rounds = sizeof(C) != sizeof(T);
  CrossEntropySums sums;
  // Exponentials of a row stand where its gradient will, unless that would round them.
  const bool apart = rounds || !a.dlogits;
  C* spare = apart ? static_cast<C*>(scratch_bytes(static_cast<std::size_t>(a.vocabulary) * sizeof(C))) : nullptr;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const T* row = a.logits + r * a.logits_stride;
    T* gradient = a.dlogits ? a.dlogits + r * a.dlogits_stride : nullptr;
    C* powers = spare;
    if constexpr (!rounds) powers = gradient ? gradient : spare;
    const std::int64_t target = a.targets[r];
    assert(target == ignored_target || (target >= 0 && target < a.vocabulary));
    const bool counted = target != ignored_target;
    if (!counted && !a.predictions) {
      if (a.dlogits) __builtin_memset(gradient, 0, static_cast<std::size_t>(a.vocabulary) * sizeof(T));
      if (a.losses) a.losses[r] = 0;
      continue;
    }
    const C top = row_maximum(row, a.vocabulary);
    if (a.predictions) a.predictions[r] = first_index_of(row, a.vocabulary, top);
    if (!counted) {
      if (a.dlogits) __builtin_memset(gradient, 0, static_cast<std::size_t>(a.vocabulary) * sizeof(T));
      if (a.losses) a.losses[r] = 0;
      continue;
    }
    // Before a gradient in place overwrites them.
    const C at_target = row[target];
    sums.correct += at_target == top && first_index_of(row, a.vocabulary, top) == target;
    const C total = exponentials(row, a.vocabulary, top, powers);
    const C loss = static_cast<C>(__builtin_log(static_cast<double>(total))) + (top - at_target);
    if (a.dlogits) {
      const C factor = a.gradient_scale / total;
      for (std::int64_t i = 0; i < a.vocabulary; i += lanes<T>) {
        const std::int64_t n = a.vocabulary - i;
        store(gradient + i, load(powers + i, n) * factor, n);
      }
      if constexpr (rounds)
        gradient[target] = T(powers[target] * factor - a.gradient_scale);
      else
        gradient[target] -= a.gradient_scale;
    }
    if (a.losses) a.losses[r] = loss;
    sums.loss += static_cast<double>(loss);
    sums.count += 1;
  }
  *a.sums = sums;
}

template void execute<here>(const CrossEntropy<float>&);
template void execute<here>(const CrossEntropy<double>&);
template void execute<here>(const CrossEntropy<bfloat16>&);

}  // namespace starling::kernels
