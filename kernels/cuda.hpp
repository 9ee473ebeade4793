// Contracts on a CUDA device: enqueue(arguments, queue) does what dispatch(arguments) does, on arrays in the memory of the device,
// some time after it returns. What has a device form is listed at the end. Defined where Starling was built with STARLING_CUDA.
#pragma once

#include <cstddef>
#include <functional>

#include <starling/kernels/adamw.hpp>
#include <starling/kernels/complex_scan.hpp>
#include <starling/kernels/convert.hpp>
#include <starling/kernels/cross_entropy.hpp>
#include <starling/kernels/diagonal_scan.hpp>
#include <starling/kernels/discretise.hpp>
#include <starling/kernels/dropout.hpp>
#include <starling/kernels/gated_scan.hpp>
#include <starling/kernels/gated_unit.hpp>
#include <starling/kernels/linear_attention.hpp>
#include <starling/kernels/long_convolution.hpp>
#include <starling/kernels/matrix_recurrence.hpp>
#include <starling/kernels/rms_norm.hpp>
#include <starling/kernels/rope.hpp>
#include <starling/kernels/selective_scan.hpp>
#include <starling/kernels/short_conv.hpp>

namespace starling::kernels {

/// A stream of the current device and the memory that work in it may use.
struct Queue {
  void* stream = nullptr;  ///< a cudaStream_t
  /// Device memory of so many bytes, aligned to 256, that no other work of the stream touches before what is enqueued in this
  /// call is done.
  std::function<void*(std::size_t)> scratch;
};

/// Throws std::runtime_error where the device refuses a launch.
template <class Arguments>
void enqueue(const Arguments& arguments, const Queue& queue);

#if defined(STARLING_CUDA)
inline constexpr bool built_for_cuda = true;
#else
inline constexpr bool built_for_cuda = false;
#endif

/// Whether a contract has a device form.
template <class Arguments>
inline constexpr bool on_device = false;
template <class T>
inline constexpr bool on_device<DiagonalScanForward<T>> = true;
template <class T>
inline constexpr bool on_device<DiagonalScanBackward<T>> = true;
template <class T>
inline constexpr bool on_device<GatedUnitForward<T>> = true;
template <class T>
inline constexpr bool on_device<GatedUnitBackward<T>> = true;
template <class T>
inline constexpr bool on_device<ShortConvForward<T>> = true;
template <class T>
inline constexpr bool on_device<ShortConvBackward<T>> = true;
template <class T, class X>
inline constexpr bool on_device<RmsNormForward<T, X>> = true;
template <class T, class X>
inline constexpr bool on_device<RmsNormBackward<T, X>> = true;
template <class From, class To>
inline constexpr bool on_device<Convert<From, To>> = true;
template <>
inline constexpr bool on_device<AddTo> = true;
template <class T>
inline constexpr bool on_device<SelectiveScanForward<T>> = true;
template <class T>
inline constexpr bool on_device<SelectiveScanBackward<T>> = true;
template <class T>
inline constexpr bool on_device<GatedScanForward<T>> = true;
template <class T>
inline constexpr bool on_device<GatedScanBackward<T>> = true;
template <class T>
inline constexpr bool on_device<MatrixRecurrenceForward<T>> = true;
template <class T>
inline constexpr bool on_device<MatrixRecurrenceBackward<T>> = true;
template <class T>
inline constexpr bool on_device<LinearAttentionForward<T>> = true;
template <class T>
inline constexpr bool on_device<LinearAttentionBackward<T>> = true;
template <class T>
inline constexpr bool on_device<AdamW<T>> = true;
template <class T>
inline constexpr bool on_device<AdamWList<T>> = true;
template <class T>
inline constexpr bool on_device<SumOfSquares<T>> = true;
template <class T>
inline constexpr bool on_device<CrossEntropy<T>> = true;
template <class T>
inline constexpr bool on_device<Dropout<T>> = true;
template <class T>
inline constexpr bool on_device<Rope<T>> = true;
template <class T>
inline constexpr bool on_device<Discretise<T>> = true;
template <class T>
inline constexpr bool on_device<DiscretiseBackward<T>> = true;
template <class T>
inline constexpr bool on_device<ComplexScanForward<T>> = true;
template <class T>
inline constexpr bool on_device<ComplexScanBackward<T>> = true;
template <class T>
inline constexpr bool on_device<LongConvolutionForward<T>> = true;
template <class T>
inline constexpr bool on_device<LongConvolutionBackward<T>> = true;

}  // namespace starling::kernels
