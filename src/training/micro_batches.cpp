#include <starling/training/micro_batches.hpp>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <string_view>

#include <starling/base/error.hpp>

namespace starling::training {
namespace {

/// LibTorch's messages go on with a back trace.
std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) || dynamic_cast<const c10::OutOfMemoryError*>(&error)) return true;
  // LibTorch's allocator of the processor has an error of no type of its own, and neither have CUDA and its libraries where they take
  // memory themselves.
  const std::string_view text = error.what();
  const auto says = [&](std::string_view words) { return text.find(words) != std::string_view::npos; };
  if (says("CUDA refuses a kernel: out of memory")) return true;
  if (!dynamic_cast<const c10::Error*>(&error)) return false;
  return says("DefaultCPUAllocator: can't allocate memory") || says("DefaultCPUAllocator: not enough memory") ||
         says("CUDA error: out of memory") || says("CUBLAS_STATUS_ALLOC_FAILED") ||
         // A handle of cuBLAS that finds no memory.
         (says("CUBLAS_STATUS_NOT_INITIALIZED") && says("cublasCreate")) ||
         // Before LibTorch says that there is no memory it asks NVML who has it, which is refused in a part of a device and in some containers.
         (says("NVML_SUCCESS ==") && says("CUDACachingAllocator"));
}

void MicroBatches::run(std::int64_t batch, const std::function<void()>& begin,
                       const std::function<void(std::int64_t first, std::int64_t count)>& piece) {
  for (bool again = false;; again = true) {
    try {
      begin();
      if (again) make_room_();
      for (std::int64_t first = 0; first < batch; first += sequences_) piece(first, std::min(sequences_, batch - first));
      return;
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error)) throw;
      if (std::min(sequences_, batch) == 1) {
        throw Failure(fmt::format("out of memory with micro-batches of one sequence: {}", first_line(error.what())));
      }
    }
    sequences_ = (std::min(sequences_, batch) + 1) / 2;
  }
}

}  // namespace starling::training
