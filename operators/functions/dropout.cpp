#include <starling/operators/functions/dropout.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include <starling/base/stream_key.hpp>
#include <starling/kernels/dropout.hpp>
#include <starling/operators/functions/device.hpp>
#include <starling/operators/functions/tensors.hpp>

namespace starling::operators {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr double steps = 65536;  // of a probability

at::Tensor masked(const at::Tensor& input, const Dropout& noise) {
  const auto x = input.contiguous();
  const auto y = at::empty_like(x);
  const auto threshold = static_cast<std::uint32_t>(std::clamp(std::round(noise.probability * steps), 1.0, steps - 1));
  const auto key = stream_key(noise.seed, Purpose::dropout, noise.place);
  with_exact_type(x, [&]<class T>(T) {
    run_kernel(x, kernels::Dropout<T>{.x = data<T>(x),
                                      .y = data<T>(y),
                                      .sequences = x.size(0),
                                      .elements = x.numel() / std::max<std::int64_t>(x.size(0), 1),
                                      .first_sequence = noise.first_sequence,
                                      .key = {key[0], key[1]},
                                      .threshold = threshold,
                                      .scale = static_cast<T>(steps / (steps - threshold))});
  });
  return y;
}

struct Drop : Function<Drop> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double probability, std::int64_t seed, std::int64_t place,
                            std::int64_t first_sequence) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->saved_data["probability"] = probability;
    context->saved_data["seed"] = seed;
    context->saved_data["place"] = place;
    context->saved_data["first_sequence"] = first_sequence;
    return masked(x, noise_of(probability, seed, place, first_sequence));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto& saved = context->saved_data;
    const auto noise =
        noise_of(saved["probability"].toDouble(), saved["seed"].toInt(), saved["place"].toInt(), saved["first_sequence"].toInt());
    return {masked(gradients[0], noise), {}, {}, {}, {}};
  }

 private:
  static Dropout noise_of(double probability, std::int64_t seed, std::int64_t place, std::int64_t first_sequence) {
    return {probability, std::bit_cast<std::uint64_t>(seed), static_cast<std::uint32_t>(place), first_sequence};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, const Dropout& noise) {
  return Drop::apply(x, noise.probability, std::bit_cast<std::int64_t>(noise.seed), std::int64_t{noise.place}, noise.first_sequence);
}

}  // namespace starling::operators
