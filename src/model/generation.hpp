// What a batch of sequences keeps between tokens. Its elements are what the cache objective counts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include <starling/operators/operator.hpp>

namespace starling::model {

struct Generation {
  std::int64_t batch = 0;
  std::int64_t capacity = 0;  ///< tokens a sequence may have
  std::int64_t position = 0;  ///< tokens seen so far
  std::vector<operators::State> livs;
  std::vector<at::Tensor> gates;  ///< by LIV: g of a routed one, (batch, 1); undefined for the others

  /// Elements kept for one sequence of `capacity` tokens: all of the tensors, counted.
  std::int64_t elements_per_sequence() const;
};

}  // namespace starling::model
