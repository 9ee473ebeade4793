// A trainable tensor with its name and how it is treated.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace starling::operators {

struct Parameter {
  std::string name;
  at::Tensor value;
  bool matrix = false;   ///< a projection: Glorot-initialised, counted among the matrices
  bool decay = false;    ///< weight decay applies: projections and the embedding; not norms, biases, taps, A, D, λ
  at::Tensor copy = {};  ///< bfloat16: value rounded, to be written whenever value is; undefined where nothing computes with it
};

}  // namespace starling::operators
