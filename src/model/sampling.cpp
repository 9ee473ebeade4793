#include <starling/model/sampling.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <starling/base/error.hpp>

namespace starling::model {

std::int64_t sample_token(std::span<const float> logits, const Sampling& sampling, Stream& stream) {
  if (!std::ranges::all_of(logits, [](float logit) { return std::isfinite(logit); })) throw Failure("the model's logits are not finite");
  std::vector<std::int64_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  std::ranges::stable_sort(tokens, std::greater(), [&](std::int64_t token) { return logits[static_cast<std::size_t>(token)]; });
  if (sampling.temperature == 0) return tokens.front();
  if (sampling.top_k > 0 && sampling.top_k < std::ssize(tokens)) tokens.resize(static_cast<std::size_t>(sampling.top_k));

  std::vector<double> weights(tokens.size());
  const double highest = logits[static_cast<std::size_t>(tokens.front())];
  std::ranges::transform(tokens, weights.begin(), [&](std::int64_t token) {
    return std::exp((logits[static_cast<std::size_t>(token)] - highest) / sampling.temperature);
  });
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  auto sum = weights.back();
  if (sampling.top_p < 1) {
    // The first token stays whatever top_p is.
    const auto last = std::ranges::lower_bound(weights, sampling.top_p * sum);
    weights.erase(last + 1, weights.end());
    sum = weights.back();
  }
  const auto chosen = std::ranges::upper_bound(weights, stream.uniform() * sum);
  return tokens[static_cast<std::size_t>(std::min<std::ptrdiff_t>(chosen - weights.begin(), std::ssize(weights) - 1))];
}

}  // namespace starling::model
