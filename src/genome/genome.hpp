// The backbone genome: five integers per LIV, in depth order, and its text form.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::genome {

/// The genes of one linear input-varying operator (LIV). Ids and strategies start at 1; strategy 1 shares nothing.
struct Liv {
  std::int16_t liv_class = 1;            ///< id of a row of the class catalogue
  std::int16_t featurizer_group = 1;     ///< featurizer-sharing group (shares weights)
  std::int16_t featurizer_strategy = 1;  ///< 1 own weights, 2 the group shares all featurizer weights
  std::int16_t feature_group = 1;        ///< feature-group-sharing group (shares activations)
  std::int16_t feature_strategy = 1;     ///< which feature groups are read from the group's first member

  auto operator<=>(const Liv&) const = default;
};

inline constexpr std::size_t genes_per_liv = 5;
/// Featurizer-sharing strategies, the same in every class.
inline constexpr int featurizer_strategies = 2;

struct Genome {
  std::vector<Liv> livs;

  std::size_t depth() const { return livs.size(); }
  auto operator<=>(const Genome&) const = default;
};

/// The genes in order (5 · depth integers), and back. Throws UserError where the count is no multiple of 5.
std::vector<std::int16_t> to_genes(const Genome& genome);
Genome from_genes(const std::vector<std::int16_t>& genes);

/// "21211-31112"; a LIV with an integer above 9 is written with dots: "12.1.2.1.1". The genes must not be negative.
std::string to_text(const Genome& genome);

/// Reads the text form; throws UserError that says at which LIV and character it is not one. Validity against a
/// catalogue is checked elsewhere.
Genome parse_genome(std::string_view text);

/// The highest group id that may occur: max(2, ⌊depth / 2⌋).
std::int16_t group_limit(std::size_t depth);

}  // namespace starling::genome
