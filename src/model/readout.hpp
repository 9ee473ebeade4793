// The decoder of the compression task: all tokens of a sequence from the model's output after the last of them (Poli et al. 2024, arXiv 2403.17844,
// appendix B): at place i, h_i = W_2 GELU(W_1 (x_T + p_i)) in place of the model's own output, p_i sines and cosines of the place (Vaswani et
// al. 2017, arXiv 1706.03762, section 3.5).
#pragma once

#include <ATen/core/Tensor.h>

namespace starling::model {

struct Readout {
  at::Tensor up;    ///< W_1 (width, width); undefined where there is no decoder
  at::Tensor down;  ///< W_2 (width, width)

  /// hidden (batch, length, width) → the same shape.
  at::Tensor decode(const at::Tensor& hidden) const;
};

}  // namespace starling::model
