// A trainable tensor with its name and how it is treated.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace starling::operators {

struct Parameter {
  std::string name;
  at::Tensor value;
  bool matrix = false;  ///< a projection: Glorot-initialised, weight decay applies; norms, biases, kernels, A, D, λ are not
};

}  // namespace starling::operators
