#include <starling/operators/functions/dropout.hpp>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include <starling/base/random.hpp>
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
  const auto elements = x.numel() / std::max<std::int64_t>(x.size(0), 1);
  with_exact_type(x, [&]<class T>(T) {
    const auto scale = static_cast<T>(steps / (steps - threshold));
    const T* from = x.data_ptr<T>();
    T* to = y.data_ptr<T>();
    for (std::int64_t s = 0; s < x.size(0); ++s, from += elements, to += elements) {
      Stream stream(noise.seed, Purpose::dropout, static_cast<std::uint64_t>(noise.first_sequence + s), noise.place);
      std::int64_t e = 0;
      for (; e + 1 < elements; e += 2) {
        const auto word = stream();
        to[e] = (word & 0xffff) < threshold ? T(0) : from[e] * scale;
        to[e + 1] = word >> 16 < threshold ? T(0) : from[e + 1] * scale;
      }
      if (e < elements) to[e] = (stream() & 0xffff) < threshold ? T(0) : from[e] * scale;
    }
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
