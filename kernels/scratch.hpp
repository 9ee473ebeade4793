// Working memory of a kernel call.
#pragma once

#include <cstddef>

namespace starling::kernels {

/// At least `bytes` bytes, aligned to 64, contents undefined; the same memory at every call of a thread, so one kernel
/// asks once. It is kept until the thread ends. Throws std::bad_alloc.
void* scratch_bytes(std::size_t bytes);

}  // namespace starling::kernels
