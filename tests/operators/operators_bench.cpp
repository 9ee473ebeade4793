// Forward and backward of operators' functions in float on one thread, each beside the form that LibTorch's tensor operations
// give, in turns in the same run. Prints the best time of both and their ratio; the largest difference of their outputs is
// checked first.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/fft_irfft.h>
#include <ATen/ops/fft_rfft.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/real.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <starling/operators/functions/state_space.hpp>

namespace {

using namespace starling::operators;
using Clock = std::chrono::steady_clock;

/// Two ways to compute the same from the same leaves.
struct Contest {
  std::string name;
  std::vector<at::Tensor> leaves;
  std::function<at::Tensor()> ours;
  std::function<at::Tensor()> reference;
};

double seconds(const Contest& contest, const std::function<at::Tensor()>& form, const at::Tensor& dy) {
  for (const auto& leaf : contest.leaves) leaf.mutable_grad() = at::Tensor();
  const auto begin = Clock::now();
  form().backward(dy);
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void run(const Contest& contest) {
  const auto expected = contest.reference();
  const auto difference = (contest.ours() - expected).abs().max().item<double>() / expected.abs().max().item<double>();
  if (!(difference < 1e-3)) {
    std::printf("%s: the two forms differ by %g\n", contest.name.c_str(), difference);
    std::exit(1);
  }
  const auto dy = at::randn(expected.sizes(), expected.options().requires_grad(false));
  double ours = 1e9, reference = 1e9;
  const auto begin = Clock::now();
  for (int i = 0; i < 5 || Clock::now() - begin < std::chrono::seconds(3); ++i) {
    ours = std::min(ours, seconds(contest, contest.ours, dy));
    reference = std::min(reference, seconds(contest, contest.reference, dy));
  }
  std::printf("%-44s %9.2f ms %9.2f ms   %6.2fx\n", contest.name.c_str(), ours * 1e3, reference * 1e3, reference / ours);
}

at::Tensor leaf(const at::Tensor& tensor) { return tensor.detach().requires_grad_(true); }

/// kernel * u by Fourier transforms of twice the length; u, kernel: (…, length).
at::Tensor fourier_convolution(const at::Tensor& u, const at::Tensor& kernel) {
  const auto length = u.size(-1);
  const auto spectrum = at::fft_rfft(u, 2 * length) * at::fft_rfft(kernel, 2 * length);
  return at::fft_irfft(spectrum, 2 * length).narrow(-1, 0, length);
}

/// S4D as published: the kernel from a Vandermonde matrix, then Fourier transforms. Where the kernel is given, only the reference
/// is spared making it and its gradient's way to the weights.
Contest state_space_contest(std::int64_t batch, std::int64_t length, std::int64_t width, bool kernel_given) {
  constexpr std::int64_t pairs = 32;
  const auto turns = at::arange(pairs).unsqueeze(1) * std::acos(-1.0);
  const auto u = leaf(at::randn({batch, length, width}));
  const auto a_log = leaf(at::full({pairs, width}, std::log(0.5)));
  const auto a_imaginary = leaf(turns.expand({pairs, width}).to(at::kFloat).contiguous());
  const auto log_step = leaf(at::rand({width}) * std::log(100.0) + std::log(1e-3));
  const auto b = leaf(at::randn({2 * pairs, width}));
  const auto c = leaf(at::randn({2 * pairs, width}));
  const auto skip = leaf(at::randn({width}));
  const auto make_kernel = [=] {
    const auto complex = [](const at::Tensor& both) {
      return at::complex(both.narrow(0, 0, pairs), both.narrow(0, pairs, pairs)).transpose(0, 1);
    };
    const auto a = at::complex(-at::exp(a_log), a_imaginary).transpose(0, 1);
    const auto exponent = a * at::exp(log_step).unsqueeze(1);
    const auto weight = complex(b) * complex(c) * (at::exp(exponent) - 1) / a;
    const auto powers = at::exp(exponent.unsqueeze(2) * at::arange(length));
    return at::real((weight.unsqueeze(1).matmul(powers)).squeeze(1)) * 2;
  };
  const auto given = leaf(make_kernel());
  const auto size = "batch " + std::to_string(batch) + ", T " + std::to_string(length) + ", d " + std::to_string(width);
  return {(kernel_given ? "S4D, kernel given, " : "S4D, ") + size,
          {u, a_log, a_imaginary, log_step, b, c, skip, given},
          [=] {
            const at::Tensor none;
            return state_space(u, {a_log, a_imaginary, log_step, b, c, skip, none});
          },
          [=] {
            const auto y = fourier_convolution(u.transpose(1, 2), kernel_given ? given : make_kernel());
            return y.transpose(1, 2) + skip * u;
          }};
}

}  // namespace

int main() {
  at::set_num_threads(1);
  std::printf("%-44s %12s %12s   %7s\n", "forward and backward, f32, one thread", "starling", "tensor ops", "ratio");
  for (const std::int64_t length : {256, 1024}) {
    for (const std::int64_t width : {96, 256}) {
      run(state_space_contest(4, length, width, false));
      run(state_space_contest(4, length, width, true));
    }
  }
}
