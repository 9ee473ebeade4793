// Catalogue rows as the configurations that operators are compiled from.
#pragma once

#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/operators/config.hpp>

namespace starling::model {

/// A class at the sizes of a model, as the LIV at a position counted from 1. Throws UserError where the width has no legal
/// head size or the class does not fit it.
operators::Config translate(const genome::LivClass& liv_class, const genome::Featurizer& featurizer, const genome::Dimensions& dimensions,
                            std::int64_t position);

}  // namespace starling::model
