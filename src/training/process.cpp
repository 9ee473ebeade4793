#include <starling/training/process.hpp>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>

#include <cstdlib>
#include <limits>

namespace starling::training {
namespace {

// ATen 1.13 takes AVX-512 only on request, and trusts the request.
bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

// OpenBLAS is reached through libblas.so.3, which need not be OpenBLAS: its own functions are looked up, not linked.
template <class Function>
Function* openblas(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

void tune_process(int threads) {
  if (has_avx512()) setenv("ATEN_CPU_CAPABILITY", "avx512", /*overwrite=*/0);
  at::set_num_threads(threads);
  at::globalContext().setFlushDenormal(true);  // of this thread; those that it starts inherit it
  if (auto* set_threads = openblas<void(int)>("openblas_set_num_threads")) set_threads(threads);
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

int openblas_threads() {
  auto* threads = openblas<int()>("openblas_get_num_threads");
  return threads ? threads() : 0;
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace starling::training
