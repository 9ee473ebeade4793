// Settings of the process that training wants, and what it has used. No Torch.
#pragma once

#include <cstdint>

namespace starling::training {

/// To be called first thing in main(), before any other thread and any tensor: ATen's widest instruction set, `threads` threads in ATen,
/// OpenMP and OpenBLAS, denormal numbers taken for zero (a state that fades out over a long sequence otherwise costs up to twice the time),
/// and an allocator that keeps freed memory (large tensors otherwise cost a page fault per 4 KiB in every step). What the user set in
/// ATEN_CPU_CAPABILITY stays.
void tune_process(int threads);

/// Threads that OpenBLAS will use, or 0 where the BLAS of this process is another one.
int openblas_threads();

/// Largest resident size so far.
std::uint64_t peak_memory_bytes();

}  // namespace starling::training
