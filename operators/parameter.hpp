// A trainable tensor with its name and how it is treated.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace starling::operators {

struct Parameter {
  std::string name;
  at::Tensor value;
  bool matrix =
      false;  ///< a projection: Glorot-initialised, weight decay applies; norms, biases, kernels, A, D, λ are not
  bool embedding = false;  ///< the tied token embedding: weight decay applies as to a matrix (the model sets this for
                           ///< its one embedding)
};

}  // namespace starling::operators
