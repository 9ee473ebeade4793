// Sampling, crossover, mutation and repair of genomes. None of them ever yields an invalid genome.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

/// How often repair re-sampled, by reason, in the order it works.
struct Repairs {
  std::uint32_t class_out_of_range = 0;
  std::uint32_t illegal_integer = 0;
  std::uint32_t illegal_strategy = 0;
  std::uint32_t lonely_group = 0;  ///< sharing group with one member: its strategy becomes 1
  std::uint32_t composition =
      0;  ///< no token mixer, or no position-wise LIV: one LIV's class re-sampled, until there are; or none but empty LIVs

  std::uint32_t lonely_path = 0;         ///< path group with one member: its path becomes 0
  std::uint32_t illegal_operator = 0;    ///< integer of an operator segment, behind those it depends on
  std::uint32_t illegal_featurizer = 0;  ///< the same of a featurizer segment

  std::uint32_t total() const {
    return class_out_of_range + illegal_integer + illegal_strategy + lonely_group + composition + lonely_path + illegal_operator +
           illegal_featurizer;
  }
  auto operator<=>(const Repairs&) const = default;
};

/// Limits of the space that is searched.
struct Space {
  const Catalogue* catalogue = &Catalogue::liquid();
  std::size_t depth = 6;
  bool require_mixer_and_map = true;
  bool paths = false;           ///< LIVs may run in parallel; else every path is 0
  bool routes = false;          ///< LIVs may be routed; else every route is 0
  bool variable_depth = false;  ///< LIVs may be empty (class 0), as likely as each class of the catalogue
  bool operators = false;       ///< operator segments vary; else operators are those of the catalogue's classes
  bool featurizers = false;     ///< featurizer segments vary; else featurizers are the catalogue's
  std::int64_t width = 96;      ///< channels that classes made by segments must fit
};

/// The genes of a LIV that vary in the space, by number (genome.hpp), in order.
std::vector<std::size_t> searched_genes(const Space& space);

/// Throws UserError where no genome of the space can meet its constraint (depth, catalogue), or where segments vary at a width that is none
/// or that a class does not fit. The functions below rely on it.
void require_searchable(const Space& space);

inline constexpr double sampled_change = 0.05;

/// How often a LIV that begins to share where nobody of its class does finds another. Without selection, sharing then stays about as frequent
/// over generations as it is among sampled genomes (at depth 24; a third of that at 6); at 0 it dies out, at 1 it comes to five times that.
inline constexpr double begun_group = 0.125;

/// A random genome: every gene uniform over its legal values, then repaired (adds to `repairs`, which may be null). Of the
/// paths those count that differ in what they mean: 0, its neighbours' and one that no neighbour has (empty LIVs are no
/// neighbours). Segments start from the class: each of their genes is drawn anew with probability sampled_change, alike in all LIVs of a
/// class, which may then share.
Genome sample(const Space& space, Stream& stream, Repairs* repairs = nullptr);

/// k-point crossover at LIV-gene granularity: cut points are k distinct positions between the genes that vary in the space;
/// child takes a, b, a, … between them. Segments are crossed integer by integer, whatever class said them; one that does not vary goes with
/// the class. Parents have equal depth, points < genes of a LIV · depth. May be invalid; pass the result through repair().
Genome crossover(const Space& space, const Genome& a, const Genome& b, int points, Stream& stream);

/// Each gene is re-sampled with `probability` among its other legal values; a path among what else
/// it can mean: alone, with the LIV before, with the LIV behind (which takes part where it was alone). A LIV that begins to share weights or
/// features, in a group where none of its class is, takes one of its class that shares none into it with probability begun_group. Where segments vary, a LIV whose
/// class is drawn anew has that of the catalogue, or in half of the cases what another LIV of the genome has; LIVs of one class change
/// alike in half of the cases, and always if they share weights or features: else hardly any two could ever share. An integer of a segment
/// is drawn among those that are legal behind the ones it depends on. May be invalid; pass the result through
/// repair(). `changed` (may be null) is set to the number of genes that differ afterwards. `genome` is valid, or crossover() made it of such.
Genome mutate(const Space& space, const Genome& genome, double probability, Stream& stream, int* changed = nullptr);

/// Re-samples offending genes in the fixed order: class out of range → segment illegal for what it depends on → integer illegal for its
/// position → strategy illegal for its class → sharing group with one member → (where the space asks) composition → path group with one
/// member. The result is valid; the input may be any integers. Adds to `repairs` (may be null).
Genome repair(const Space& space, Genome genome, Stream& stream, Repairs* repairs = nullptr);

/// Number of genes that differ.
int distance(const Genome& a, const Genome& b);

}  // namespace starling::genome
