// The genome: five backbone integers per LIV, in depth order, two more where it leaves the residual chain, behind them what its operator
// and its featurizer have other than its class; and its text form.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::genome {

/// The operator segment of a LIV: featurizer class, token mixing, structured sparsity, nonlinearity, channel mixing.
inline constexpr std::size_t operator_genes = 5;
/// Its featurizer segment: six integers of each feature group, in the order of the featurizer: token mixing, structured sparsity,
/// nonlinearity, channel mixing, expansion, repeat (codes in segments.hpp).
inline constexpr std::size_t group_genes = 6;
inline constexpr std::size_t max_groups = 5;
inline constexpr std::size_t segment_genes = operator_genes + max_groups * group_genes;
using Segments = std::array<std::int16_t, segment_genes>;

/// The genes of one linear input-varying operator (LIV). Ids and strategies of sharing start at 1; strategy 1 shares nothing.
struct Liv {
  std::int16_t liv_class = 1;            ///< id of a row of the class catalogue
  std::int16_t featurizer_group = 1;     ///< featurizer-sharing group (shares weights)
  std::int16_t featurizer_strategy = 1;  ///< 1 own weights, 2 the group shares all featurizer weights
  std::int16_t feature_group = 1;        ///< feature-group-sharing group (shares activations)
  std::int16_t feature_strategy = 1;     ///< which feature groups are read from the group's first member
  std::int16_t path = 0;                 ///< 0 sequential; consecutive LIVs with the same other path run in parallel
  std::int16_t route = 0;                ///< 1: its contribution depends on the token, by a gate with a time constant
  Segments segments{};                   ///< 0: as the class says; the groups of another featurizer class as that one says

  auto operator<=>(const Liv&) const = default;
};

using Gene = std::int16_t Liv::*;

/// In the order of the text form. A LIV whose path and route are 0 is written without them.
inline constexpr std::array<Gene, 7> liv_genes{&Liv::liv_class,     &Liv::featurizer_group, &Liv::featurizer_strategy,
                                               &Liv::feature_group, &Liv::feature_strategy, &Liv::path,
                                               &Liv::route};
/// Without path, route and segments.
inline constexpr std::size_t genes_per_liv = 5;
/// Backbone and segments.
inline constexpr std::size_t all_genes_per_liv = liv_genes.size() + segment_genes;

/// Gene 0 … all_genes_per_liv − 1 of a LIV: its backbone in the order of the text form, then its segments.
inline std::int16_t& gene(Liv& liv, std::size_t i) { return i < liv_genes.size() ? liv.*liv_genes[i] : liv.segments[i - liv_genes.size()]; }
inline std::int16_t gene(const Liv& liv, std::size_t i) {
  return i < liv_genes.size() ? liv.*liv_genes[i] : liv.segments[i - liv_genes.size()];
}
/// Featurizer-sharing strategies, the same in every class.
inline constexpr int featurizer_strategies = 2;

/// The class of a LIV that is not there, in every catalogue: identity, no weights, shares nothing. What its other genes say
/// means nothing, and positions in depth are counted without it.
inline constexpr std::int16_t empty_class = 0;
inline bool is_empty(const Liv& liv) { return liv.liv_class == empty_class; }

inline bool has_segments(const Liv& liv) { return liv.segments != Segments{}; }

struct Genome {
  std::vector<Liv> livs;

  /// Empty LIVs included.
  std::size_t depth() const { return livs.size(); }
  auto operator<=>(const Genome&) const = default;
};

/// Genes per LIV that say all of the genome: 5 where no LIV has a path, a route or segments; 7 without segments; 12 where feature groups
/// are as their featurizer classes say; else all 42.
std::size_t genes_needed(const Genome& genome);

/// The first `per_liv` genes of every LIV (per_liv · depth integers), and back; the others are 0. Throws UserError where the
/// count is no multiple of per_liv.
std::vector<std::int16_t> to_genes(const Genome& genome, std::size_t per_liv = genes_per_liv);
Genome from_genes(const std::vector<std::int16_t>& genes, std::size_t per_liv = genes_per_liv);

/// "21211-3111210": five digits per LIV, seven where it has a path or a route; with an integer above 9 they are written with
/// dots: "12.1.2.1.1". Segments follow behind colons, first the five integers of the operator, then six per feature group, each in the same
/// way and nothing where all are 0, the last of them left out: "11111:00200" is class 1 with structured sparsity 2, "11111:::004000" one
/// whose second feature group has nonlinearity 4. The genes must not be negative.
std::string to_text(const Genome& genome);

/// Reads the text form; throws UserError that says at which LIV and character it is not one. Validity against a
/// catalogue is checked elsewhere.
Genome parse_genome(std::string_view text);

/// The LIVs that are there, in order.
Genome without_empty(const Genome& genome);

/// The highest group id that may occur: max(2, ⌊depth / 2⌋).
std::int16_t group_limit(std::size_t depth);

}  // namespace starling::genome
