// From a class (operator genome and featurizer genome) to the operator that realises it.
#pragma once

#include <memory>

#include <starling/operators/config.hpp>
#include <starling/operators/operator.hpp>

namespace starling::operators {

/// Throws UserError that names the class and its integers where no operator realises them.
std::unique_ptr<Operator> compile(const Config& config);

}  // namespace starling::operators
