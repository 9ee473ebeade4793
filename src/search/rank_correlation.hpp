// How far two measurements put the same things into the same order.
#pragma once

#include <optional>
#include <span>

namespace starling::search {

/// Kendall's τ-b, which takes ties into account (M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945):
/// (concordant − discordant pairs) / √(pairs not tied in a · pairs not tied in b). 1: the same order, −1: the opposite one, 0: no relation.
/// Nothing where all values of a, or of b, are equal (one pair of values, or none, included): there is no order to compare. `a` and `b` are
/// as long as each other and hold no NaN. O(n²).
std::optional<double> kendall_tau(std::span<const double> a, std::span<const double> b);

}  // namespace starling::search
