// Which LibTorch, BLAS and devices are in use, and how fast a matrix product is.
#pragma once

namespace starling::worker {

/// Prints the findings on stdout; warnings about a slow set-up are part of them. Returns the exit code: 0, or 1 where the set-up is slow.
int doctor(bool json);

}  // namespace starling::worker
