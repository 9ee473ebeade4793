// Any legal class, from its configuration.
#pragma once

#include <starling/operators/config.hpp>

#include "reference.hpp"

namespace starling::reference {

/// Mixed channels before the output projection, of one sequence x (tokens, width).
Matrix generic(const operators::Config& config, const Matrix& x, const Weights& weights, Features& features);

}  // namespace starling::reference
