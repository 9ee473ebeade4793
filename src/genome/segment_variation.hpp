// Drawing, mutating and repairing the segments of one LIV. Positions are taken in an order in which each has a legal value whatever the
// legal ones before it are: token mixing, featurizer, structured sparsity, nonlinearity, channel mixing of the operator; then of each
// feature group expansion, repeat, token mixing, structured sparsity, nonlinearity, channel mixing. The values of a position are those that
// can be completed to an operator that legality.hpp has no objection to at the width of the search. Private to variation.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include <starling/base/random.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/genome/variation.hpp>

namespace starling::genome {

class SegmentVariation {
 public:
  explicit SegmentVariation(const Space& space) : space_(space) {}

  /// Whether segments vary at all.
  bool is_on() const { return space_.operators || space_.featurizers; }

  /// Each gene that varies is drawn anew with `probability` among its other values. The groups of a featurizer that was drawn begin as it
  /// has them.
  void mutate(Liv& liv, double probability, Stream& stream) const;

  /// Genes of segments that do not vary become those of the class, others that are not legal are drawn anew, each after those it depends
  /// on. The LIV's class is legal; an empty LIV has no segments.
  void repair(Liv& liv, Stream& stream, Repairs& repairs) const;

 private:
  struct Draft;

  bool varies(std::size_t place) const;
  bool is_legal(const Draft& draft) const;
  /// Whether places before `free` can stay as they are.
  bool can_be_completed(Draft draft, std::size_t free) const;
  void complete_groups(Draft& draft, std::size_t free) const;
  std::vector<std::int16_t> candidates(const Draft& draft, std::size_t place) const;
  std::vector<std::int16_t> values(const Draft& draft, std::size_t place) const;
  void begin_groups(Draft& draft) const;
  bool is_in_space(const Liv& liv) const;

  const Space& space_;
};

}  // namespace starling::genome
