#include <starling/training/cuda_device.hpp>

#include <stdexcept>

namespace starling::training::cuda {
namespace {

[[noreturn]] void refuse() { throw std::logic_error("this build has no CUDA devices"); }

}  // namespace

int count() { return 0; }
void sum_in_float() { refuse(); }
std::pair<std::string, std::int64_t> description(int) { refuse(); }
std::int64_t free_bytes(int) { refuse(); }
std::uint64_t peak_bytes(int) { refuse(); }
void release_memory(int) { refuse(); }
void reset_peak(int) { refuse(); }
void finish(int) { refuse(); }
bool still_works(int) { refuse(); }
Event event(int) { refuse(); }
void wait(const Event&) { refuse(); }
Event send(const std::vector<at::Tensor>&, int, std::vector<at::Tensor>&) { refuse(); }
void take(const Event&, const std::vector<at::Tensor>&) { refuse(); }

}  // namespace starling::training::cuda
