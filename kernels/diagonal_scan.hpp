// Real diagonal recurrence, per channel: h_t = a_t h_{t−1} + b_t.
//   Backward, with g_t the whole gradient of h_t: g_t = dh_t + a_{t+1} g_{t+1},  db_t = g_t,  da_t = g_t h_{t−1},
//   dinitial = a_0 g_0.
// One thread per call. float and double.
#pragma once

#include <starling/kernels/dispatch.hpp>

#include <cstdint>

namespace starling::kernels {

/// a, b, h: (batch, length, channels), contiguous; h may be b. initial: (batch, channels) or null for zero.
template <class T>
struct DiagonalScanForward {
  const T* a = nullptr;
  const T* b = nullptr;
  const T* initial = nullptr;
  T* h = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;
  std::int64_t channels = 0;
};

/// da, db, dinitial are written (dinitial null for none); db may be dh.
template <class T>
struct DiagonalScanBackward {
  const T* a = nullptr;
  const T* h = nullptr;
  const T* initial = nullptr;
  const T* dh = nullptr;
  T* da = nullptr;
  T* db = nullptr;
  T* dinitial = nullptr;
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
