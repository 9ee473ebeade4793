// A weight or a state before it exists: operators declare what they need, the model allocates, fills, names and counts
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace starling::operators {

/// How a weight is first filled.
enum class Fill {
  projection,  ///< normal, σ = √(2 / (inputs + outputs)) (Glorot) or √(2 / inputs) (He)
  output,      ///< as projection, × 1 / √(2 · depth): the last matrix of a residual branch
  normal,      ///< normal, σ = scale
  uniform,     ///< uniform in ±scale
  one,
  constant,     ///< scale
  complex_one,  ///< 1 in the upper half of the rows (real parts), 0 in the lower (imaginary parts)
  harmonics,    ///< π · row: the imaginary parts of S4D-Lin
  log_step,     ///< logarithm of a log-uniform step size in [10⁻³, 10⁻¹]
  state_decay,  ///< row-wise log(1), log(2), …: A = −exp of it is the S4D-Real start
  step_bias,    ///< inverse softplus of a log-uniform step size in [10⁻³, 10⁻¹]
  decay_bias,   ///< logit of 1 − s, s log-uniform in [10⁻³, ½]: decays that remember from two to a thousand tokens
};

struct TensorSpec {
  std::string name;                 ///< within its bank or LIV: "q", "A.up", "out"
  std::vector<std::int64_t> shape;  ///< a matrix is (outputs, inputs), the blocks of a block-diagonal one (blocks, outputs, inputs)
  bool matrix = false;              ///< a projection; see Parameter::matrix
  Fill fill = Fill::projection;
  double scale = 1.0;
  int group = -1;  ///< feature group it computes, −1 for a private tensor

  std::int64_t elements() const {
    std::int64_t product = 1;
    for (const auto size : shape) product *= size;
    return product;
  }
};

/// What one sequence keeps between tokens for one LIV.
struct StateSpec {
  std::string name;
  std::vector<std::int64_t> shape;  ///< of one sequence; where per_token, of one token
  bool per_token = false;           ///< one such entry for every token seen
  std::int64_t limit = 0;           ///< where per_token: of the last so many tokens only; 0 for all

  std::int64_t entries(std::int64_t tokens) const {
    if (!per_token) return 1;
    return limit > 0 && limit < tokens ? limit : tokens;
  }

  std::int64_t elements(std::int64_t tokens) const {
    std::int64_t product = entries(tokens);
    for (const auto size : shape) product *= size;
    return product;
  }
};

}  // namespace starling::operators
