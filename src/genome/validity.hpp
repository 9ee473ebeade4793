// Which genomes are valid, their canonical form, and the hash of the canonical form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

/// What is wrong with the genome, one sentence per finding ("LIV 3: class 2 is not in the catalogue 'liquid' …"), in
/// the order repair works; empty where it is valid. A sharing group with one member is not invalid to read (canonical
/// form mends it) and not reported.
std::vector<std::string> findings(const Catalogue& catalogue, const Genome& genome);

/// Throws UserError with the first finding.
void require_valid(const Catalogue& catalogue, const Genome& genome);

/// How many feature-group-sharing strategies the LIV's class has; an empty LIV has one. The class must be known, the token mixing in range.
int feature_strategies(const Catalogue& catalogue, const Liv& liv);

/// At least one token mixer and one position-wise (memoryless) LIV: the search constraint for new candidates.
bool mixes_and_maps(const Catalogue& catalogue, const Genome& genome);

/// Equal phenotype ⇒ equal canonical genome: inactive ids are 1, active ids numbered by first use per class and kind, a
/// sharing group with one member has strategy 1, the first member of a feature group (its own strategy reads nothing)
/// has strategy 2; path groups are numbered from 1 in depth order, one of a single LIV is path 0. The order of the LIVs in
/// a path group is part of the phenotype: it says who owns what is shared. Empty LIVs are last, without groups, so that
/// genomes of one depth that differ in where nothing is are one. Classes are in normal form (segments.hpp). Idempotent; the plan stays the
/// same. `genome` must be valid.
Genome canonical(const Catalogue& catalogue, const Genome& genome);

/// FNV-1a (64 bits) over the genes of the canonical form without its empty LIVs, low byte first: five per LIV, or where genes_needed() are
/// more that number and then so many per LIV.
std::uint64_t phenotype_hash(const Catalogue& catalogue, const Genome& genome);

}  // namespace starling::genome
