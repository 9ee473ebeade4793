// The next token from a row of logits.
#pragma once

#include <cstdint>
#include <span>

#include <starling/base/random.hpp>

namespace starling::model {

struct Sampling {
  double temperature = 1.0;  ///< logits are divided by it; 0 takes the most likely token
  std::int64_t top_k = 0;    ///< only the k most likely tokens; 0 for all
  double top_p = 1.0;        ///< only the most likely tokens that together have this probability (Holtzman et al. 2019, arXiv 1904.09751)
};

/// Of equal logits the lower token counts as the likelier. Throws Failure where a logit is not finite.
std::int64_t sample_token(std::span<const float> logits, const Sampling& sampling, Stream& stream);

}  // namespace starling::model
