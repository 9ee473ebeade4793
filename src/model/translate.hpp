// Catalogue rows as the configurations that operators are compiled from.
#pragma once

#include <cstdint>

#include <starling/genome/catalogue.hpp>
#include <starling/operators/config.hpp>

namespace starling::model {

/// A class at a width. Throws UserError where the width has no legal head size.
operators::Config translate(const genome::Catalogue& catalogue, const genome::LivClass& liv_class, std::int64_t width);

}  // namespace starling::model
