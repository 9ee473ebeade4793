// An architecture as people read it: one letter per LIV, and who shares what with whom.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/genome/plan.hpp>
#include <starling/run/summary.hpp>

namespace starling::tools {

/// 'A', 'R', 'C', 'M'.
char family_letter(genome::Family family);
/// The escape sequence that begins its colour.
const char* family_colour(genome::Family family);

struct ClassSource;

/// The classes that a command is about, and the sizes it counts them at.
struct Classes {
  const genome::Catalogue& catalogue;
  genome::Dimensions dimensions;      ///< the experiment's; without one 768 channels, 4096 tokens
  std::optional<std::int64_t> depth;  ///< the experiment's
};
Classes classes_of(const ClassSource& source);
/// The classes that a run searches: those of its experiment.
const genome::Catalogue& catalogue_of(const run::RunSummary& summary);

/// One letter per LIV, by family: "AM(RM~)CM"; in parentheses what runs in parallel, ~ behind what is routed.
std::string strip(const genome::Catalogue& catalogue, const genome::Genome& genome);
/// What the letters of strips mean.
std::string strip_legend();
/// "attention", "recurrence", …
std::string family_name(genome::Family family);

/// "k v": the names of the groups in a mask.
std::string group_names(const genome::Featurizer& featurizer, genome::GroupMask mask);

/// The five integers of an operator genome.
std::vector<int> operator_integers(const genome::OperatorGenome& op);
/// An integer in which a LIV's operator or featurizer is not as its class says.
struct Difference {
  std::string group;  ///< "k"; "" of the operator
  std::string gene;   ///< "nonlinearity"
  std::string of_class;
  std::string of_liv;
};
/// Those of a LIV in canonical form; what its groups differ from is its featurizer.
std::vector<Difference> differences(const genome::Catalogue& catalogue, const genome::Liv& liv);
/// "LIV 2  SA-1* has structured sparsity 2, not 1; k: nonlinearity 4, not 1", a line for each LIV that has segments; "" where none has.
std::string segment_lines(const genome::Catalogue& catalogue, const genome::Genome& genome);

/// Id, name, family, operator genome and featurizer genome of a class.
nlohmann::ordered_json class_genomes_json(const genome::LivClass& liv_class, const genome::Featurizer& featurizer);

}  // namespace starling::tools
