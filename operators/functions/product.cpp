#include <starling/operators/functions/product.hpp>

#include <ATen/ops/bmm.h>
#include <ATen/ops/mm.h>

#include <atomic>

#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

std::atomic<bool> pretends{false};

// LibTorch hands products of fewer terms to code of its own, which may sum in bfloat16.
constexpr std::int64_t fewest_terms = 16 * 16 * 16;

// On processors with AMX the oneDNN of LibTorch 1.13 sums so many terms wrongly, or ends with an illegal instruction.
constexpr std::int64_t broken_terms = 63;

bool multiplies_itself(const at::Tensor& left, const at::Tensor& right) {
  if (!left.is_cpu() || left.scalar_type() != at::kBFloat16) return true;
  return left.numel() * right.size(-1) > fewest_terms && left.size(-1) != broken_terms && multiplies_bfloat16();
}

}  // namespace

bool multiplies_bfloat16() {
#if defined(__x86_64__)
  static const bool found = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return found && !pretends.load(std::memory_order_relaxed);
#else
  return false;
#endif
}

void pretend_no_bfloat16_products(bool pretend) { pretends.store(pretend, std::memory_order_relaxed); }

at::Tensor product(const at::Tensor& left, const at::Tensor& right) {
  if (multiplies_itself(left, right)) return at::mm(left, right);
  return at::mm(exact(left), exact(right)).to(left.scalar_type());
}

void product_into(at::Tensor out, const at::Tensor& left, const at::Tensor& right) {
  if (!multiplies_itself(left, right)) {
    out.copy_(at::mm(exact(left), exact(right)));
  } else if (out.scalar_type() == left.scalar_type()) {
    at::mm_out(out, left, right);
  } else {
    out.copy_(at::mm(left, right));
  }
}

void add_product(at::Tensor out, const at::Tensor& left, const at::Tensor& right) {
  if (multiplies_itself(left, right) && out.scalar_type() == left.scalar_type()) {
    out.addmm_(left, right);
  } else {
    out.add_(multiplies_itself(left, right) ? at::mm(left, right) : at::mm(exact(left), exact(right)));
  }
}

void batched_product_into(at::Tensor out, const at::Tensor& left, const at::Tensor& right) {
  if (!multiplies_itself(left, right)) {
    out.copy_(at::bmm(exact(left), exact(right)));
  } else if (out.scalar_type() == left.scalar_type()) {
    at::bmm_out(out, left, right);
  } else {
    out.copy_(at::bmm(left, right));
  }
}

at::Tensor batched_product(const at::Tensor& left, const at::Tensor& right) {
  if (multiplies_itself(left, right)) return at::bmm(left, right);
  return at::bmm(exact(left), exact(right)).to(left.scalar_type());
}

}  // namespace starling::operators
