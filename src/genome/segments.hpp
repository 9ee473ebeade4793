// What a LIV's operator and featurizer segments mean. All integers of a LIV are its class's, but for those that its segments name; a class
// that no catalogue has follows from them. Which featurizer a LIV has (what its feature groups are and where their values come from) is the
// first integer of its operator; whether it is differential is a matter of its class.
//
// Integers of a feature group:
//   token mixing     1 none; 3t a depthwise causal convolution, or a K, of t taps (31 … 38); 3 a K as long as the sequence
//   sparsity, nonlinearity, channel mixing     as in the catalogue
//   expansion        1: 1 · 2: 1/2 · 3: 1/4 · 4: 1/8 · 5: 2 · 6: 4 · 7: 8/3 · 8: 4/3 · 9: 2 per token · 10: 4 per token · 11: 8 per token ·
//                    12: 16 per token · 13: 8 · 14: 1/16; from 101 the others that featurizers of the catalogue have, in their order
//   repeat           itself
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

/// Places in Segments.
enum class OperatorGene : std::size_t { featurizer, token_mixing, sparsity, nonlinearity, channel_mixing };
enum class GroupGene : std::size_t { token_mixing, sparsity, nonlinearity, channel_mixing, expansion, repeat };
constexpr std::size_t position(OperatorGene gene) { return static_cast<std::size_t>(gene); }
constexpr std::size_t position(std::size_t group, GroupGene gene) {
  return operator_genes + group * group_genes + static_cast<std::size_t>(gene);
}

/// "operator_sparsity", "group2_expansion": a place in Segments as tables name it.
std::string segment_gene_name(std::size_t position);

/// Codes of all expansions that may be drawn, and what a code means; nothing where it means none.
std::vector<std::int16_t> expansion_codes(const Catalogue& catalogue);
std::optional<Expansion> expansion_of(const Catalogue& catalogue, int code);
/// 0 where it has no code: it is neither in the table nor in the catalogue.
std::int16_t expansion_code(const Catalogue& catalogue, const Expansion& expansion);

/// The six integers of each of a featurizer's groups in their places; of a class all it starts from. 0 where there is no group.
Segments integers_of(const Catalogue& catalogue, const Featurizer& featurizer);
Segments integers_of(const Catalogue& catalogue, const LivClass& liv_class);

/// All integers of a LIV, its class's where its segments are 0. Its class must be known.
Segments all_integers(const Catalogue& catalogue, const Liv& liv);
/// Sets the segments of a LIV to what differs from its class, so that all_integers() gives these.
void set_integers(const Catalogue& catalogue, Liv& liv, const Segments& all);

/// The featurizer with that id, as the catalogue defines it; null where there is none.
const Featurizer* find_featurizer(const Catalogue& catalogue, int id);
/// Groups of the same names, with values from the same places: what no integer of a group says.
bool is_alike(const Featurizer& a, const Featurizer& b);

/// Why these integers make no operator at any width, one sentence; empty where they do. At a width: legality.hpp.
std::string objection(const Catalogue& catalogue, bool differential, const Segments& all);
std::string objection_at(const Catalogue& catalogue, const Segments& all, std::int64_t width);

/// The class a LIV has. Without segments it is the catalogue's; else one with the id of the LIV's class and a star behind its name. The LIV
/// must be valid.
ClassDefinition definition(const Catalogue& catalogue, const Liv& liv);

/// Of all ways of writing the same class the one that canonical genomes have: the featurizer that differs in the fewest integers of its
/// groups, then the row with the fewest other operator integers, then one with that featurizer, then the first. Other genes stay.
Liv with_normal_class(const Catalogue& catalogue, Liv liv);

/// For each LIV the first of the same class: of equal integers, however they are written. An empty LIV is its own.
std::vector<std::size_t> first_of_class(const Catalogue& catalogue, const Genome& genome);

/// The family follows from the token mixing. The LIV is not empty.
Family family_of(const Catalogue& catalogue, const Liv& liv);

}  // namespace starling::genome
