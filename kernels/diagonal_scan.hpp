// Real diagonal recurrence, per channel: h_t = a_t h_{t−1} + b_t.
//   Backward, with g_t the whole gradient of h_t: g_t = dh_t + a_{t+1} g_{t+1},  db_t = g_t,  da_t = g_t h_{t−1},
//   dinitial = a_0 g_0.
// One thread per call. float, double and bfloat16: decays, their gradient and what is carried in float, as a decay near 1 is no
// number for bfloat16.
#pragma once

#include <starling/kernels/bfloat16.hpp>
#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// a, b, h: (batch, length, channels), contiguous; h may be b. initial, final: (batch, channels), the state before the first token
/// (null for zero) and behind the last, unrounded (null where not wanted); final may be initial.
template <class T>
struct DiagonalScanForward {
  const Compute<T>* a = nullptr;
  const T* b = nullptr;
  const Compute<T>* initial = nullptr;
  T* h = nullptr;
  Compute<T>* final = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t channels = 0;
};

/// da, db, dinitial are written (dinitial null for none); db may be dh.
template <class T>
struct DiagonalScanBackward {
  const Compute<T>* a = nullptr;
  const T* h = nullptr;
  const Compute<T>* initial = nullptr;
  const T* dh = nullptr;
  Compute<T>* da = nullptr;
  T* db = nullptr;
  Compute<T>* dinitial = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t channels = 0;
};

template <Level level, class T>
void execute(const DiagonalScanForward<T>& arguments);
template <Level level, class T>
void execute(const DiagonalScanBackward<T>& arguments);

template <class T>
void diagonal_scan_forward(const DiagonalScanForward<T>& arguments) {
  dispatch(arguments);
}
template <class T>
void diagonal_scan_backward(const DiagonalScanBackward<T>& arguments) {
  dispatch(arguments);
}

}  // namespace starling::kernels
